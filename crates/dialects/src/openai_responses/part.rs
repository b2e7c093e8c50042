//! Content parts: `input_text`, `output_text`, `refusal`, `input_image`, `input_file`, `input_audio`, `input_video`.

use super::{
    OWN,
    types::{BLOCK, TYPE, noted, put_note, rest, type_of, write_nulls},
};
use crate::{
    carried::cannot,
    object::{self, Fields, Misfit, Object, note},
};
use domain::{Bag, Dialect, Fault, Losses, Media, MediaSource, Part, PartKind, Raw, Role};

/// Note: the head of a `data:` URL, where it is not the media type alone.
const HEAD: &str = "$head";
/// Note: base64 without a `data:` URL around it.
const BARE: &str = "$bare";

/// Reads a list of parts.
pub(super) fn read_all(list: &[Raw], role: Role) -> Result<Vec<Part>, Misfit> {
    let read = |(index, raw): (usize, &Raw)| {
        part(raw, role, u32::try_from(index).unwrap_or(u32::MAX))
            .map_err(|misfit| misfit.within(&format!("[{index}]")))
    };
    list.iter().enumerate().map(read).collect()
}

fn part(raw: &Raw, role: Role, index: u32) -> Result<Part, Misfit> {
    let mut fields = Fields::of(raw, "")?;
    let nulls = fields.split_nulls();
    let Some(what) = type_of(&fields) else { return Err(Misfit::new("type", "the type of a content part")) };
    let foreign = || {
        let mut part = Part::new(PartKind::Foreign { what: what.as_str().into() }, index);
        part.bag.put(OWN, BLOCK, raw.clone());
        Ok(part)
    };
    let mut notes: Vec<(&str, Raw)> = Vec::new();
    let kind = match what.as_str() {
        "input_text" | "output_text" | "text" => {
            let text = fields.must_string("text")?;
            // An empty list is spelling; one with something in it is a field.
            if fields.peek("annotations").is_some_and(is_empty_list)
                && let Some(raw) = fields.take("annotations")
            {
                notes.push(("$=annotations", raw));
            }
            // Likelihoods are the candidate's, too.
            if let Some(raw) = fields.take("logprobs") {
                notes.push(("$=logprobs", raw));
            }
            PartKind::Text { text, signature: None }
        }
        "refusal" => PartKind::Refusal(fields.must_string("refusal")?),
        "input_image" => match (fields.string("image_url")?, fields.string("file_id")?) {
            (Some(url), None) => PartKind::Image(media_of_url(&url, &mut notes)),
            (None, Some(id)) => {
                PartKind::Image(Media { source: MediaSource::FileId(id.into()), mime: None, name: None })
            }
            (None, None) => return Err(Misfit::new("image_url", "a URL (or name a `file_id`)")),
            (Some(_), Some(_)) => return foreign(),
        },
        "input_file" => match file(&mut fields, &mut notes)? {
            Some(media) => PartKind::Document(media),
            None => return foreign(),
        },
        "input_video" => {
            let url = fields.must_string("video_url")?;
            PartKind::Video(media_of_url(&url, &mut notes))
        }
        "input_audio" => match audio(&mut fields)? {
            Some(media) => PartKind::Audio(media),
            None => return foreign(),
        },
        _ => return foreign(),
    };
    drop(fields.take("type"));
    // `auto` is what is meant where nothing is said.
    if fields.peek("detail").is_some_and(|raw| raw.text() == "\"auto\"")
        && let Some(raw) = fields.take("detail")
    {
        notes.push(("$=detail", raw));
    }
    let mut bag = rest(fields, &nulls);
    for (name, raw) in notes {
        bag.put(OWN, name, raw);
    }
    if matches!(kind, PartKind::Text { .. }) && what != text_type(role) {
        put_note(&mut bag, TYPE, &what);
    }
    Ok(Part { kind, index, bag })
}

fn is_empty_list(raw: &Raw) -> bool {
    raw.read::<Vec<Raw>>().is_ok_and(|list| list.is_empty())
}

/// The usual type of a text.
const fn text_type(role: Role) -> &'static str {
    match role {
        Role::Assistant => "output_text",
        _ => "input_text",
    }
}

fn file(fields: &mut Fields, notes: &mut Vec<(&'static str, Raw)>) -> Result<Option<Media>, Misfit> {
    let sources = (fields.string("file_data")?, fields.string("file_id")?, fields.string("file_url")?);
    let name: Option<Box<str>> = fields.string("filename")?.map(Into::into);
    let media = match sources {
        (Some(data), None, None) if data.starts_with("data:") => media_of_url(&data, notes),
        (Some(data), None, None) => {
            notes.push((BARE, note("true")));
            Media { source: MediaSource::Base64(data.into()), mime: None, name: None }
        }
        (None, Some(id), None) => Media { source: MediaSource::FileId(id.into()), mime: None, name: None },
        (None, None, Some(url)) => Media { source: MediaSource::Url(url.into()), mime: None, name: None },
        (None, None, None) => {
            return Err(Misfit::new("file_data", "a `data:` URL (or name a `file_id` or `file_url`)"));
        }
        _ => return Ok(None),
    };
    Ok(Some(Media { name, ..media }))
}

fn audio(fields: &mut Fields) -> Result<Option<Media>, Misfit> {
    let inner = fields.take("input_audio").ok_or_else(|| Misfit::new("input_audio", "an object"))?;
    let mut inner = Fields::of(&inner, "input_audio")?;
    let data = inner.must_string("data").map_err(|misfit| misfit.within("input_audio"))?;
    let format = inner.must_string("format").map_err(|misfit| misfit.within("input_audio"))?;
    if inner.into_iter().next().is_some() {
        return Ok(None);
    }
    let mime = if format == "mp3" { "audio/mpeg".to_owned() } else { format!("audio/{format}") };
    Ok(Some(Media { source: MediaSource::Base64(data.into()), mime: Some(mime.into()), name: None }))
}

/// A `data:` URL as its bytes, anything else as a URL. What a rewritten head would lose is noted.
fn media_of_url(url: &str, notes: &mut Vec<(&'static str, Raw)>) -> Media {
    let Some((head, data)) = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")) else {
        return Media { source: MediaSource::Url(url.into()), mime: None, name: None };
    };
    let bare = head.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mime = if bare == "image/jpg" { "image/jpeg".to_owned() } else { bare };
    if mime != head {
        notes.push((HEAD, note(head)));
    }
    Media { source: MediaSource::Base64(data.into()), mime: Some(mime.into()), name: None }
}

/// What of a part is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form<'a> {
    /// Who speaks; decides between `input_text` and `output_text`.
    pub(super) role: Role,
    /// Every member that the object form of an answer demands (`annotations`, `logprobs`).
    pub(super) full: bool,
    /// The list of likelihoods of a text that has none of its own.
    pub(super) logprobs: Option<&'a str>,
}

/// One part as JSON text. `None`, with its loss, where the dialect cannot say it.
pub(super) fn write(part: &Part, form: Form<'_>, losses: &mut Losses) -> Option<String> {
    let bag = &part.bag;
    if let Some(block) = bag.get(OWN, BLOCK) {
        return Some(block.text().to_owned());
    }
    lose_bag(bag, losses);
    let mut object = Object::new();
    match &part.kind {
        PartKind::Text { text, .. } => {
            let what = noted(bag, TYPE);
            let what = what.as_deref().unwrap_or(text_type(form.role));
            object.string("type", what).string("text", text);
            for name in ["annotations", "logprobs"] {
                match bag.get(OWN, &format!("$={name}")) {
                    Some(empty) => {
                        object.raw(name, empty);
                    }
                    None if form.full && what == "output_text" && bag.get(OWN, name).is_none() => {
                        let list = form.logprobs.filter(|_| name == "logprobs").unwrap_or("[]");
                        object.json(name, list);
                    }
                    None => {}
                }
            }
        }
        PartKind::Refusal(text) => {
            object.string("type", "refusal").string("refusal", text);
        }
        PartKind::Image(media) => {
            object.string("type", "input_image");
            match &media.source {
                MediaSource::FileId(id) => object.string("file_id", id),
                _ => object.string("image_url", &url_of(media, bag)?),
            };
            detail(bag, form, &mut object);
        }
        PartKind::Document(media) => document(media, bag, &mut object),
        PartKind::Audio(media) => {
            let MediaSource::Base64(data) = &media.source else {
                losses.add("messages.content.audio");
                return None;
            };
            let mime = media.mime.as_deref().unwrap_or("audio/wav");
            let format = if mime == "audio/mpeg" { "mp3" } else { mime.trim_start_matches("audio/") };
            let mut inner = Object::new();
            inner.string("data", data).string("format", format);
            object.string("type", "input_audio").json("input_audio", &inner.finish());
        }
        PartKind::Video(media) => {
            object.string("type", "input_video").string("video_url", &url_of(media, bag)?);
        }
        PartKind::Foreign { what } => {
            losses.add(&format!("messages.content.{what}"));
            return None;
        }
    }
    object.bag(bag, OWN);
    write_nulls(bag, &[], &mut object);
    Some(object.finish())
}

/// Fields of another dialect, but those that are said here in another place.
fn lose_bag(bag: &Bag, losses: &mut Losses) {
    for (dialect, name, _) in bag.foreign_to(OWN) {
        if !(dialect == Dialect::OpenAiChat && name == CHAT_DETAIL) {
            losses.add(&format!("messages.content.{name}"));
        }
    }
}

/// openai-chat's name of an image's detail.
pub(super) const CHAT_DETAIL: &str = "image_url.detail";

fn detail(bag: &Bag, form: Form<'_>, object: &mut Object) {
    if let Some(raw) = bag.get(OWN, "$=detail").or_else(|| bag.get(Dialect::OpenAiChat, CHAT_DETAIL)) {
        object.raw("detail", raw);
    } else if form.full && bag.get(OWN, "detail").is_none() {
        object.string("detail", "auto");
    }
}

fn document(media: &Media, bag: &Bag, object: &mut Object) {
    match &media.source {
        MediaSource::Text(text) => {
            object.string("type", "input_text").string("text", text);
            return;
        }
        MediaSource::Base64(data) => {
            object.string("type", "input_file");
            match bag.get(OWN, BARE) {
                Some(_) => object.string("file_data", data),
                None => object.string("file_data", &url_of(media, bag).unwrap_or_default()),
            };
        }
        MediaSource::FileId(id) => {
            object.string("type", "input_file").string("file_id", id);
        }
        MediaSource::Url(url) => {
            object.string("type", "input_file").string("file_url", url);
        }
    }
    match (&media.name, &media.source) {
        (Some(name), _) => {
            object.string("filename", name);
        }
        // Bytes need a name there.
        (None, MediaSource::Base64(_)) if bag.dialect() != Some(OWN) => {
            object.string("filename", "document.pdf");
        }
        _ => {}
    }
    if let Some(raw) = bag.get(OWN, "$=detail") {
        object.raw("detail", raw);
    }
}

/// The URL of a medium; `None` where it has none.
fn url_of(media: &Media, bag: &Bag) -> Option<String> {
    match &media.source {
        MediaSource::Url(url) => Some(url.to_string()),
        MediaSource::Base64(data) => {
            let head = noted(bag, HEAD);
            let head = head.as_deref().or(media.mime.as_deref()).unwrap_or("application/octet-stream");
            Some(format!("data:{head};base64,{data}"))
        }
        MediaSource::FileId(_) | MediaSource::Text(_) => None,
    }
}

/// Parts as a JSON list.
pub(super) fn write_all(parts: &[Part], form: Form<'_>, losses: &mut Losses) -> String {
    let mut texts: Vec<String> = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let form = Form { logprobs: form.logprobs.filter(|_| index == 0), ..form };
        texts.extend(write(part, form, losses));
    }
    object::list(&texts)
}

/// Refuses media that this dialect cannot name although leaving them out would change the question: a file of
/// another provider, sound behind a URL.
pub(super) fn check(part: &Part, place: &str) -> Result<(), Fault> {
    let foreign = part.bag.dialect() != Some(OWN);
    match &part.kind {
        PartKind::Image(Media { source: MediaSource::FileId(_), .. })
        | PartKind::Document(Media { source: MediaSource::FileId(_), .. })
            if foreign && part.bag.dialect().is_some_and(|dialect| dialect != Dialect::OpenAiChat) =>
        {
            Err(cannot(place, "this host does not know the file id; send the bytes as a data URL".into()))
        }
        PartKind::Audio(Media { source: MediaSource::Url(_) | MediaSource::FileId(_), .. }) => {
            Err(cannot(place, "this host takes sound as bytes only".into()))
        }
        PartKind::Video(_) if foreign => Err(cannot(place, "this model takes no film".into())),
        _ => Ok(()),
    }
}
