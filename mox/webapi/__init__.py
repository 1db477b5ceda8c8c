"""The webapi as values: what applications send and get as JSON, and how messages are shown in it.

Types and names of fields are those of the reference's webapi v0; a client written for it works.
Pure, but for the client: no HTTP, no store, no clock. The server is mox.web.webapi.

- types: requests, responses and errors, with their documentation
- methods: which method takes and gives which of them
- decoding: a request's JSON, with errors that name the field
- reading: a stored message as `Message` and `Structure`
- fields, examples, openapi: documentation of it all, made from the types
- hooks, receiver: payloads of webhooks, and the receiving end
- client: calls methods, for programs that use the webapi
"""
