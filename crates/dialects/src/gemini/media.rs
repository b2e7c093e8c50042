//! Images, documents, sound and films: `inlineData` and `fileData` both ways, and what a name or the first
//! bytes tell of a type. Types as listed in Google's pages on image, audio, video and document understanding.

use super::types::{Fields, Object};
use crate::carried::cannot;
use domain::{Bag, Dialect, Fault, Media, MediaSource, Part, PartKind, Raw};

const URL_ALPHABET: &str = "$base64url";
const MIME_AS_WRITTEN: &str = "$mimeType";

/// Reads an `inlineData` or `fileData` object (whose spelling is noted in `bag`) as a part's kind.
pub(super) fn decode(text: &str, inline: bool, bag: &mut Bag) -> Option<PartKind> {
    let mut fields = Fields::of(text)?;
    let mime_written: Option<String> = fields.take_as("mimeType");
    let name: Option<Box<str>> = fields.take_as("displayName");
    let source = if inline {
        let data: Box<str> = fields.take_as("data")?;
        if data.contains(['-', '_']) {
            bag.put(Dialect::Gemini, URL_ALPHABET, Raw::of(&data.len()).ok()?);
            let mut standard = data.replace('-', "+").replace('_', "/");
            while !standard.len().is_multiple_of(4) {
                standard.push('=');
            }
            MediaSource::Base64(standard.into())
        } else {
            MediaSource::Base64(data)
        }
    } else {
        MediaSource::Url(fields.take_as("fileUri")?)
    };
    let mime = mime_written.as_deref().map(normal_mime);
    if let (Some(written), Some(mime)) = (&mime_written, &mime)
        && written.as_str() != &**mime
    {
        bag.put(Dialect::Gemini, MIME_AS_WRITTEN, Raw::of(written).ok()?);
    }
    fields.into_bag(if inline { "inlineData." } else { "fileData." }, bag);
    let kind = match (&mime, &source) {
        (Some(mime), _) => class(mime),
        (None, MediaSource::Url(url)) => class(mime_of_name(url).unwrap_or_default()),
        _ => class(""),
    };
    let media = Media { source, mime, name };
    Some(match kind {
        Class::Image => PartKind::Image(media),
        Class::Audio => PartKind::Audio(media),
        Class::Video => PartKind::Video(media),
        Class::Document => PartKind::Document(media),
    })
}

/// Writes a medium of our own dialect as it was: field name and JSON text. `None` for what Gemini cannot
/// hold (a file id, plain text).
pub(super) fn encode_own(part: &Part) -> Option<(&'static str, String)> {
    let media = media_of(&part.kind)?;
    let written = part.bag.get(Dialect::Gemini, MIME_AS_WRITTEN).and_then(|raw| raw.read::<String>().ok());
    let mime = written.or_else(|| media.mime.as_deref().map(str::to_owned));
    let inline = matches!(media.source, MediaSource::Base64(_));
    let prefix = if inline { "inlineData." } else { "fileData." };
    let mut object = Object::spelled(&part.bag, prefix);
    object.put_some("mimeType", mime.as_ref());
    match &media.source {
        MediaSource::Base64(data) => {
            match part.bag.get(Dialect::Gemini, URL_ALPHABET).and_then(|raw| raw.read::<usize>().ok()) {
                Some(length) => {
                    let data = data.replace('+', "-").replace('/', "_");
                    object.put("data", data.get(..length).unwrap_or(&data));
                }
                None => object.put("data", &**data),
            }
        }
        MediaSource::Url(url) => object.put("fileUri", &**url),
        MediaSource::FileId(_) | MediaSource::Text(_) => return None,
    }
    object.put_some("displayName", media.name.as_ref());
    object.put_bag(&part.bag, prefix);
    Some((if inline { "inlineData" } else { "fileData" }, object.finish()))
}

/// Writes a medium of another dialect as a Gemini part's text.
///
/// # Errors
/// `unsupported_parameter` for a file id of another provider, an `http` or `s3` URL, or an image type that
/// Gemini does not read.
pub(super) fn encode_foreign(kind: &PartKind, no_urls: bool) -> Result<String, Fault> {
    let Some(media) = media_of(kind) else { return Ok(String::from("{}")) };
    let mut inner = Object::new();
    let field = match &media.source {
        MediaSource::Base64(data) => {
            let mime =
                media.mime.as_deref().map(normal_mime).filter(|mime| &**mime != "application/octet-stream");
            let mime = mime.or_else(|| sniff(data).map(Into::into)).unwrap_or_else(|| fallback(kind).into());
            check_image(kind, &mime)?;
            inner.put("mimeType", &mime);
            inner.put("data", &**data);
            "inlineData"
        }
        MediaSource::Url(url) if url.starts_with("https://") || url.starts_with("gs://") => {
            if no_urls && !url.starts_with("gs://") {
                return Err(unsupported(
                    "This deployment takes no URLs of media; send the bytes as a `data:` URL.",
                ));
            }
            let mime = media.mime.as_deref().map(normal_mime);
            let mime =
                mime.or_else(|| mime_of_name(url).map(Into::into)).unwrap_or_else(|| fallback(kind).into());
            check_image(kind, &mime)?;
            inner.put("mimeType", &mime);
            inner.put("fileUri", &**url);
            "fileData"
        }
        MediaSource::Url(_) => {
            return Err(unsupported(
                "Gemini reads media by `https://` and `gs://` URLs only; send the bytes as a `data:` URL.",
            ));
        }
        MediaSource::FileId(_) => {
            return Err(unsupported(
                "A file that was uploaded to another provider cannot be read by Gemini; send its bytes or a URL.",
            ));
        }
        MediaSource::Text(text) => {
            let mut part = Object::new();
            part.put("text", &**text);
            return Ok(part.finish());
        }
    };
    let mut part = Object::new();
    part.put_text(field, &inner.finish());
    Ok(part.finish())
}

/// The medium in a part, if it is one.
pub(super) const fn media_of(kind: &PartKind) -> Option<&Media> {
    match kind {
        PartKind::Image(media)
        | PartKind::Document(media)
        | PartKind::Audio(media)
        | PartKind::Video(media) => Some(media),
        PartKind::Text { .. } | PartKind::Refusal(_) | PartKind::Foreign { .. } => None,
    }
}

fn unsupported(message: &'static str) -> Fault {
    cannot("messages", message.to_owned())
}

fn check_image(kind: &PartKind, mime: &str) -> Result<(), Fault> {
    const KNOWN: [&str; 7] =
        ["image/png", "image/jpeg", "image/webp", "image/gif", "image/heic", "image/heif", "image/avif"];
    if matches!(kind, PartKind::Image(_)) && !KNOWN.contains(&mime) {
        return Err(unsupported(
            "Gemini reads images of type PNG, JPEG, WebP, HEIC and HEIF; convert the image.",
        ));
    }
    Ok(())
}

/// A MIME type in lower case, without parameters, `image/jpg` as `image/jpeg`.
fn normal_mime(mime: &str) -> Box<str> {
    let bare = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if bare == "image/jpg" { "image/jpeg".into() } else { bare.into() }
}

enum Class {
    Image,
    Audio,
    Video,
    Document,
}

fn class(mime: &str) -> Class {
    match mime.split('/').next() {
        Some("image") => Class::Image,
        Some("audio") => Class::Audio,
        Some("video") => Class::Video,
        _ => Class::Document,
    }
}

const fn fallback(kind: &PartKind) -> &'static str {
    match kind {
        PartKind::Image(_) => "image/jpeg",
        PartKind::Audio(_) => "audio/mpeg",
        PartKind::Video(_) => "video/mp4",
        _ => "application/pdf",
    }
}

/// The type of base64 text by its first bytes.
fn sniff(base64: &str) -> Option<&'static str> {
    const MAGIC: [(&str, &str); 6] = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
        ("JVBERi0", "application/pdf"),
        ("SUQz", "audio/mpeg"),
    ];
    MAGIC.iter().find(|(magic, _)| base64.starts_with(magic)).map(|(_, mime)| *mime)
}

/// The type that a URL's path ends in.
fn mime_of_name(url: &str) -> Option<&'static str> {
    if url.starts_with("https://www.youtube.com/")
        || url.starts_with("https://youtu.be/")
        || url.starts_with("https://m.youtube.com/")
    {
        return Some("video/mp4");
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let suffix = path.rsplit('/').next().unwrap_or_default().rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match suffix.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "md" => "text/markdown",
        "json" => "application/json",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        "m4a" => "audio/mp4",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "webm" => "video/webm",
        "mpeg" | "mpg" => "video/mpeg",
        _ => return None,
    })
}
