"""The control plane: resources, ids, life cycles and the rules of the cloud.

One file per service; each is functions over a :class:`~emulator.cloud.core.Cloud`. It knows neither HTTP
(that is ``emulator.api``) nor Docker (that is behind ``emulator.planes.base.Plane``).
"""
