"""What an author fills in, checked: every message says what is wrong and what would be right."""

import uuid
from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from posts.models import MAX_ALT, MAX_TEXT, MAX_TITLE, PostImage
from posts.services import Content
from posts.uploads import MAX_IMAGES, Upload, checked
from storage.conf import is_configured
from storage.errors import InvalidImage


class FilesInput(forms.FileInput):
    """Chooses any number of files at once."""

    allow_multiple_selected = True


class ImagesField(forms.FileField):
    """Any number of image files, each judged by its content."""

    widget = FilesInput(attrs={"accept": "image/jpeg,image/png,image/webp,image/gif"})

    def clean(self, data: Any, initial: Any = None) -> list[Upload]:
        """Return the images. What is wrong with one of them is said under its name."""
        files = [super(ImagesField, self).clean(one, initial) for one in data or [] if one]
        uploads: list[Upload] = []
        problems: list[str] = []
        for file in files:
            try:
                uploads.append(checked(file))
            except InvalidImage as exc:
                problems.append(f"{_name(file)}: {exc}")
        if problems:
            raise forms.ValidationError(problems)
        return uploads


def _name(file: "UploadedFile[Any]") -> str:
    return file.name or "A file"


class PostForm(forms.Form):
    """A post's title, text and new images; for each image it has, its description and whether it stays."""

    title = forms.CharField(max_length=MAX_TITLE, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    text = forms.CharField(
        max_length=MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 18, "spellcheck": "true", "data-markdown": ""}),
        help_text="Markdown: **bold**, *italic*, ## heading, - list, [words](https://…), > quote, `code`.",
    )
    images = ImagesField(required=False, label="Add images")

    def __init__(self, *args: Any, existing: Iterable[PostImage] = (), **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self.existing = list(existing)
        for image in self.existing:
            self.fields[f"alt-{image.pk}"] = forms.CharField(
                label="Description", max_length=MAX_ALT, required=False, initial=image.alt
            )
            self.fields[f"remove-{image.pk}"] = forms.BooleanField(label="Remove", required=False)
        self._explain_images()

    def _explain_images(self) -> None:
        field = self.fields["images"]
        if is_configured("content"):
            field.help_text = (
                f"JPEG, PNG, WebP or GIF, {settings.IMAGES_MAX_BYTES / 1e6:g} MB of them at once; animations stay "
                "animated. They show below the text; to have one inside it, save, then copy the line beside the image."
            )
        else:
            field.disabled = True
            field.help_text = "No object store is configured, so posts have no images for now."

    def clean_images(self) -> list[Upload]:
        """Return the new images, unless there would be too many."""
        uploads: list[Upload] = self.cleaned_data["images"] or []
        present, added = len(self.existing), len(uploads)
        if present + added > MAX_IMAGES:
            raise forms.ValidationError(
                f"A post has {MAX_IMAGES} images at most: it has {present}, and these are {added} more."
            )
        return uploads

    def content(self) -> Content:
        """Return what was filled in."""
        data = self.cleaned_data
        return Content(
            title=data["title"],
            text=data["text"],
            uploads=data["images"],
            alts=self._alts(),
            removed=frozenset(image.pk for image in self.existing if data[f"remove-{image.pk}"]),
        )

    def _alts(self) -> dict[uuid.UUID, str]:
        changed = {image.pk: self.cleaned_data[f"alt-{image.pk}"] for image in self.existing}
        return {image.pk: changed[image.pk] for image in self.existing if changed[image.pk] != image.alt}

    def rows(self) -> list[tuple[PostImage, forms.BoundField, forms.BoundField]]:
        """Return the images there are, each with its two fields."""
        return [(image, self[f"alt-{image.pk}"], self[f"remove-{image.pk}"]) for image in self.existing]
