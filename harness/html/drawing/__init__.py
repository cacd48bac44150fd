"""Pictures as SVG. The topology: what is there (``plan``), where (``layers``, ``place``), looks (``svg``).

It is laid out from left to right by the direction of the flows, and the same report always gives the same
picture. ``timeline`` draws one trial of a fault. Of a load, ``quantiles``, ``overtime`` (with ``seconds``),
``scalingcurve``, ``search`` and ``beyond`` are made of the parts in ``chart`` on the axes in ``scale``.
"""
