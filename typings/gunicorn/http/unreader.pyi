from io import BytesIO

class Unreader:
    buf: BytesIO
