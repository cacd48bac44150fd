"""The topologies that come with Wavetank, one file each, and in ``app`` the application that they deploy."""
