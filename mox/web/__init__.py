"""The web: gunicorn as a worker kind, and the WSGI applications that it serves.

So far: metrics for Prometheus.
"""
