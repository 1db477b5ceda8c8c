"""Package metadata. It does no work: nothing of mox is imported here."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "mox/__init__.py").read_text()).group(1)

setup(
    name="mox",
    version=VERSION,
    description="A mail server for plain Maildirs: SMTP, submission, queue, IMAP",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["mox", "mox.*"]),
    package_data={"mox": ["py.typed", "web/webapi/static/*", "web/webapi/templates/*"]},
    scripts=["bin/mox"],
    install_requires=[
        "authheaders>=0.16.3",
        "authres>=1.2.0",
        "bottle>=0.13.4",
        "cryptography>=50",
        "dkimpy>=1.1.8",
        "dnspython>=2.9",
        "gevent>=26.9",
        "google-re2>=1.1.20251105",
        "gunicorn>=27",
        "h11>=0.16",
        "idna>=3.20",
        "lmdb>=3.0",
        "msgspec>=0.22",
        "multipart>=2.0.1",
        "packaging",
        "precis-i18n>=1.1.2",
        "prometheus-client>=0.26",
        "publicsuffixlist>=1.0.2",
        "pyOpenSSL>=26.4",
        "pyspf>=2.0.14",
        "setproctitle>=1.3.8",
        "zstandard>=0.25",
    ],
    extras_require={
        "dev": [
            "dnslib>=0.9.26",
            "hypothesis>=6.170",
            "imap-tools>=1.11",
            "IMAPClient>=3.0.1",
            "import-linter>=2.16",
            "jsonschema-rs>=0.30",
            "mypy>=2.4",
            "openapi-spec-validator>=0.9",
            "playwright>=1.65",
            "psutil",
            "pytest>=9.2",
            "pytest-timeout>=2.4",
            "PyYAML>=6.0",
            "ruff>=0.17.6",
            "schemathesis>=4.32",
            "scramp>=1.5",
            "setuptools>=66",
            "types-gevent",
            "types-psutil",
            "types-PyYAML",
            "wheel",
        ],
    },
)
