//! The `Accept` header (RFC 9110, section 12.5.1): which of the media types on offer a client prefers.

use std::cmp::Reverse;

use http::{HeaderMap, HeaderName, header};

/// What a client accepts. A request without the header, or with an empty one, accepts everything.
pub struct Accept(Vec<MediaRange>);

/// How much a client wants a media type: by weight, and at equal weights a type that it names before one that only
/// `*/*` covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Preference {
    /// `q` in thousandths, from 1 to 1000.
    weight: u16,
    is_named: bool,
}

struct MediaRange {
    /// In lower case, without parameters: `audio/mpeg`, `audio/*` or `*/*`.
    range: String,
    weight: u16,
}

impl Accept {
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = values.flat_map(|value| value.split(',')).filter(|range| !range.trim().is_empty());
        let mut ranges: Vec<MediaRange> = ranges.map(MediaRange::parse).collect();
        if ranges.is_empty() {
            ranges.push(MediaRange::parse("*/*"));
        }
        Self(ranges)
    }

    /// The media type that the client prefers among those on offer, or `None` if it accepts none of them. Of equals it
    /// is the one that the header lists first, and then the one that is offered first.
    #[must_use]
    pub fn preferred<'a>(&self, offered: &[&'a str]) -> Option<&'a str> {
        let candidates = offered.iter().enumerate().filter_map(|(place, media_type)| {
            let (position, preference) = self.find(media_type)?;
            Some(((preference, Reverse(position), Reverse(place)), *media_type))
        });
        candidates.max_by_key(|(rank, _)| *rank).map(|(_, media_type)| media_type)
    }

    /// How much the client wants this media type; `None` if it does not accept it.
    #[must_use]
    pub fn preference(&self, media_type: &str) -> Option<Preference> {
        self.find(media_type).map(|(_, preference)| preference)
    }

    /// The most specific range that covers the media type decides, whatever the order (RFC 9110, section 12.5.1).
    fn find(&self, media_type: &str) -> Option<(usize, Preference)> {
        let top_level = media_type.split_once('/').map(|(top_level, _)| format!("{top_level}/*"));
        let position = |wanted: &str| self.0.iter().position(|found| found.range == wanted);
        let named = position(media_type).or_else(|| position(&top_level?));
        let found = named.or_else(|| position("*/*"))?;
        // A weight of zero means "not acceptable".
        let weight = Some(self.0[found].weight).filter(|weight| *weight > 0)?;
        Some((found, Preference { weight, is_named: named.is_some() }))
    }
}

/// The ranges of a header such as `Accept-Language`, in lower case, each with its weight in thousandths.
pub(crate) fn weighted_ranges(headers: &HeaderMap, name: HeaderName) -> Vec<(String, u16)> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let ranges = values.flat_map(|value| value.split(',')).map(MediaRange::parse);
    ranges.map(|range| (range.range, range.weight)).collect()
}

impl MediaRange {
    /// Parameters other than `q` are ignored: nothing on offer has any.
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
        let range = parts.next().unwrap_or_default();
        let weight = parts.find_map(|parameter| parse_weight(parameter.strip_prefix("q=")?));
        Self { range, weight: weight.unwrap_or(1000) }
    }
}

/// `0` to `1` with up to three decimals (RFC 9110, section 12.4.2), in thousandths.
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_valid = matches!(whole, "0" | "1")
        && decimals.len() <= 3
        && decimals.bytes().all(|digit| digit.is_ascii_digit());
    let thousandths = format!("{whole}{decimals:0<3}").parse().ok()?;
    (is_valid && thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const JSON: &str = "application/json";
    const MP3: &str = "audio/mpeg";

    fn accept(values: &[&str]) -> Accept {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
        }
        Accept::from_headers(&headers)
    }

    fn preferred(value: &str) -> Option<&'static str> {
        accept(&[value]).preferred(&[JSON, MP3])
    }

    #[test]
    fn accept_without_ranges_takes_the_first_offer() {
        assert_eq!(accept(&[]).preferred(&[JSON, MP3]), Some(JSON));
        for value in ["", " ", ",", "*/*", "*/*;q=0.1"] {
            assert_eq!(preferred(value), Some(JSON), "{value}");
        }
    }

    #[test]
    fn accept_honours_weights() {
        assert_eq!(preferred("application/json;q=0.5, audio/mpeg"), Some(MP3));
        assert_eq!(preferred("audio/mpeg;q=0.5, application/json"), Some(JSON));
        assert_eq!(preferred("audio/*;q=0.9, application/json;q=0.1"), Some(MP3));
        assert_eq!(preferred("audio/mpeg;q=0.1, */*"), Some(JSON));
        assert_eq!(preferred("audio/mpeg; Q=0.001, application/json;q=0.002"), Some(JSON));
        assert_eq!(preferred("application/json;version=1;q=0.2, audio/mpeg;q=0.3;ext=1"), Some(MP3));
    }

    #[test]
    fn accept_with_a_weight_of_zero_refuses() {
        assert_eq!(preferred("application/json;q=0, */*"), Some(MP3));
        assert_eq!(preferred("application/json;q=0.000, audio/*;q=0.0"), None);
        assert_eq!(accept(&["*/*;q=0"]).preference(JSON), None);
    }

    #[test]
    fn accept_of_equal_weights_prefers_the_named_and_then_the_first() {
        assert_eq!(preferred("application/json, audio/mpeg"), Some(JSON));
        assert_eq!(preferred("audio/mpeg, application/json"), Some(MP3));
        assert_eq!(preferred("Audio/MPEG, */*"), Some(MP3));
        assert_eq!(preferred("*/*, audio/mpeg"), Some(MP3));
        assert_eq!(accept(&["audio/mpeg", "application/json"]).preferred(&[JSON, MP3]), Some(MP3));
        let both = accept(&["application/json, application/problem+json"]);
        assert_eq!(both.preference(JSON), both.preference("application/problem+json"));
    }

    #[test]
    fn accept_takes_the_most_specific_range_for_a_type() {
        assert_eq!(preferred("audio/*, audio/mpeg;q=0.1, application/json;q=0.5"), Some(JSON));
        assert_eq!(preferred("*/*;q=0.9, application/*;q=0.1"), Some(MP3));
        assert_eq!(preferred("text/html"), None);
    }

    #[test]
    fn accept_ignores_weights_that_are_none() {
        for weight in ["", "2", "1.001", "-0", "+.5", "0.1234", "high", "0.x"] {
            let value = format!("application/json;q=0.9, audio/mpeg;q={weight}");
            assert_eq!(preferred(&value), Some(MP3), "{value}");
        }
    }
}
