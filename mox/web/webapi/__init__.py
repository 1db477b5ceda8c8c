"""The webapi: sending and receiving mail over HTTP and JSON."""
