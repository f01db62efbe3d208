"""XML that nobody vouches for: entities, external references and numbers that are none."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import defusedxml.ElementTree
from defusedxml.common import DefusedXmlException

from core.errors import AudioFileError


def parse_xml(text: str | bytes, name: str) -> ET.Element:
    """The root of a document without declared entities.

    Raises:
        AudioFileError: It is not well-formed, or built to harm.
    """
    try:
        root: ET.Element = defusedxml.ElementTree.fromstring(text, forbid_dtd=True)
    except (ET.ParseError, DefusedXmlException, ValueError) as error:
        raise AudioFileError(f"'{name}' is no well-formed XML ({error}).") from error
    return root


def attribute(element: ET.Element, name: str, default: float) -> float:
    """A finite number of an element.

    Raises:
        AudioFileError: It is something else.
    """
    text = element.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise AudioFileError(f'{name}="{text}" of <{element.tag}> is no number.')
    return value
