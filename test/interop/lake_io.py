"""A PyIceberg FileIO over a lake's directory: s3://lakehouse/<key> is the file ROOT/<key>."""

from pyarrow.fs import LocalFileSystem, SubTreeFileSystem
from pyiceberg.io.pyarrow import PyArrowFileIO

BUCKET = "s3://lakehouse/"


class LakeFileIO(PyArrowFileIO):
    def _initialize_fs(self, scheme, netloc=None):
        return SubTreeFileSystem(self.properties["lake.root"], LocalFileSystem())

    @staticmethod
    def parse_location(location, properties=None):
        if not location.startswith(BUCKET):
            raise ValueError(f"not a location of the lake: {location}")
        return "s3", "lakehouse", location.removeprefix(BUCKET)
