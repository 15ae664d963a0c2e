//! Files that are valid recordings and files that are not. They are described in `tests/fixtures/recordings/README.md`.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{Audio, Format, InvalidRecording, MAX_BYTES};

macro_rules! recording {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/recordings/", $name)).as_slice()
    };
}

/// One speech of 34.4 seconds, as different programs store it.
const SPEECH: [(Format, &[u8]); 8] = [
    (Format::Webm, recording!("speech-34s.webm")),
    (Format::Webm, recording!("live.webm")),
    (Format::Mp4, recording!("speech-34s.m4a")),
    (Format::Mp4, recording!("fragmented.mp4")),
    (Format::Ogg, recording!("opus.ogg")),
    (Format::Ogg, recording!("vorbis.ogg")),
    (Format::Mp3, recording!("speech-34s.mp3")),
    (Format::Flac, recording!("speech.flac")),
];

/// One second of it.
const SNIPPETS: [&[u8]; 7] = [
    recording!("snippets/opus.webm"),
    recording!("snippets/aac.m4a"),
    recording!("snippets/fragmented.mp4"),
    recording!("snippets/opus.ogg"),
    recording!("snippets/vorbis.ogg"),
    recording!("snippets/mp3.mp3"),
    recording!("snippets/flac.flac"),
];

/// A validation that takes this long hangs. Decoding itself gives up much earlier.
const HANG: Duration = Duration::from_mins(1);

/// A WAV of 16-bit PCM at 8 kHz.
fn wav(seconds: f64, mut sample: impl FnMut(u32) -> i16) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
    let frames = (seconds * 8_000.0).round() as u32;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + frames * 2).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    for field in [1_u16, 1, 8_000, 0, 16_000, 0, 2, 16] {
        file.extend(field.to_le_bytes());
    }
    file.extend(b"data");
    file.extend((frames * 2).to_le_bytes());
    (0..frames).for_each(|at| file.extend(sample(at).to_le_bytes()));
    file
}

/// A buzz, a tenth of full scale.
fn buzz(at: u32) -> i16 {
    if at % 40 < 20 { 3_000 } else { -3_000 }
}

fn inspect(bytes: &[u8]) -> Result<Audio, InvalidRecording> {
    super::inspect(&Bytes::copy_from_slice(bytes))
}

fn seconds(bytes: &[u8]) -> f64 {
    inspect(bytes).expect("a recording").duration.as_secs_f64()
}

/// The same numbers on every run (xorshift, <https://www.jstatsoft.org/article/view/v008i14>).
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 32).expect("32 bits")
}

#[test]
fn speech_is_accepted_in_every_container_with_its_duration() {
    for (format, bytes) in SPEECH {
        let audio = inspect(bytes).unwrap_or_else(|error| panic!("{format:?}: {error}"));
        assert_eq!(audio.format, format);
        assert!((audio.duration.as_secs_f64() - 34.4).abs() < 0.3, "{audio:?}");
    }
}

#[test]
fn webm_with_clusters_of_unknown_size_is_accepted() {
    let mut live = recording!("live.webm").to_vec();
    let clusters: Vec<usize> = live
        .windows(5)
        .enumerate()
        .filter(|(_, bytes)| bytes[..4] == [0x1f, 0x43, 0xb6, 0x75] && bytes[4] >> 6 == 1)
        .map(|(at, _)| at)
        .collect();
    assert!(clusters.len() > 3, "the recording has several clusters with sizes in two bytes");
    for at in clusters {
        live[at + 4..at + 6].copy_from_slice(&[0x7f, 0xff]); // as Chrome writes it
    }
    assert!((seconds(&live) - 34.4).abs() < 0.3);
    assert_eq!(inspect(&live[..live.len() - 5]), Err(InvalidRecording::Truncated));
}

#[test]
fn webm_lasts_as_long_as_its_timestamps() {
    let mut live = recording!("live.webm").to_vec();
    let last = live.windows(4).rposition(|bytes| bytes == [0x1f, 0x43, 0xb6, 0x75]).expect("a cluster");
    let timestamp = last + 6;
    assert_eq!(live[timestamp..timestamp + 2], [0xe7, 0x82], "a timestamp in two bytes");
    live[timestamp + 2..timestamp + 4].fill(0xff);
    let length = seconds(&live);
    assert!(length > 65.5, "a pause that was not sent counts: {length}");
    let scale = live.windows(4).position(|bytes| bytes == [0x2a, 0xd7, 0xb1, 0x83]).expect("a time scale");
    live[scale + 4..scale + 7].copy_from_slice(&[0x2d, 0xc6, 0xc0]); // three times as slow
    assert_eq!(inspect(&live), Err(InvalidRecording::TooLong));
}

#[test]
fn duration_of_thirty_to_120_seconds_is_accepted() {
    for length in [29.8, 30.0, 45.0, 61.0, 120.0, 120.2] {
        assert!((seconds(&wav(length, buzz)) - length).abs() < 0.001, "{length}");
    }
    for length in [0.1, 29.5] {
        let error = inspect(&wav(length, buzz)).unwrap_err();
        assert_eq!(error, InvalidRecording::TooShort(Duration::from_secs_f64(length)));
    }
    assert_eq!(inspect(&wav(121.0, buzz)), Err(InvalidRecording::TooLong));
    for snippet in SNIPPETS {
        assert!(matches!(inspect(snippet), Err(InvalidRecording::TooShort(_))), "{:?}", inspect(snippet));
    }
}

#[test]
fn message_names_the_actual_and_the_required_duration() {
    let message = inspect(&wav(12.34, buzz)).unwrap_err().to_string();
    assert_eq!(message, "This recording is 12.3 seconds long: record 30 to 120 seconds of speech.");
}

#[test]
fn wav_of_unknown_size_is_accepted() {
    let mut file = wav(31.0, buzz);
    file[4..8].fill(0xff);
    file[40..44].fill(0xff);
    assert!((seconds(&file) - 31.0).abs() < 0.001);
}

#[test]
fn non_audio_is_rejected() {
    let mut noise = 1;
    let noise: Vec<u8> = (0..100_000).map(|_| random(&mut noise).to_le_bytes()[0]).collect();
    let others: [&[u8]; 10] = [
        b"",
        b"R",
        b"ID3",
        b"This is just some text, and it goes on for a while.",
        b"<!doctype html><html><body>Hello</body></html>",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj << /Type /Catalog >> endobj",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0",
        b"PK\x03\x04\x14\0\0\0\x08\0recording.wav",
        b"RIFF\x24\0\0\0AVI LIST",
        &noise,
    ];
    for bytes in others {
        assert_eq!(
            inspect(bytes),
            Err(InvalidRecording::NotAudio),
            "{:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(20)])
        );
    }
    // The marks of a container alone make none.
    for mark in [
        b"\x1a\x45\xdf\xa3".as_slice(),
        b"\0\0\0\x18ftyp",
        b"OggS",
        b"RIFF\0\0\0\0WAVE",
        b"fLaC",
        b"\xff\xfb\x90\0",
    ] {
        let mut bytes = mark.to_vec();
        bytes.resize(5_000, 0);
        assert!(inspect(&bytes).is_err(), "{mark:?}");
    }
}

#[test]
fn video_is_rejected() {
    assert_eq!(inspect(recording!("snippets/video.webm")), Err(InvalidRecording::Video));
}

#[test]
fn concatenated_recordings_are_rejected() {
    let ogg = recording!("snippets/opus.ogg");
    assert_eq!(inspect(&[ogg, ogg].concat()), Err(InvalidRecording::MultipleRecordings));
}

#[test]
fn ogg_with_a_wrong_byte_is_corrupt() {
    let mut ogg = recording!("opus.ogg").to_vec();
    let middle = ogg.len() / 2;
    ogg[middle] ^= 1;
    assert_eq!(inspect(&ogg), Err(InvalidRecording::Corrupt));
}

#[test]
fn size_above_ten_megabytes_is_rejected() {
    assert_eq!(inspect(&vec![0; MAX_BYTES + 1]), Err(InvalidRecording::TooLarge));
    assert_eq!(inspect(&vec![0; MAX_BYTES]), Err(InvalidRecording::NotAudio));
}

#[test]
fn truncated_recording_is_rejected() {
    for (format, bytes) in SPEECH {
        let error = inspect(&bytes[..bytes.len() * 19 / 20]).unwrap_err();
        assert_eq!(error, InvalidRecording::Truncated, "{format:?}");
    }
    let file = wav(40.0, buzz);
    assert_eq!(inspect(&file[..file.len() - 9_000]), Err(InvalidRecording::Truncated), "0.56 s are missing");
    assert!((seconds(&file[..file.len() - 7_001]) - 39.56).abs() < 0.01, "less than half a second is");
}

#[test]
fn silence_is_rejected() {
    assert_eq!(inspect(recording!("silence.webm")), Err(InvalidRecording::Silent));
    let click = |at| if at < 800 { buzz(at) } else { 0 };
    let hiss = |at: u32| if at.is_multiple_of(2) { 50 } else { -50 };
    assert_eq!(inspect(&wav(35.0, |_| 0)), Err(InvalidRecording::Silent));
    assert_eq!(
        inspect(&wav(35.0, |_| 12_000)),
        Err(InvalidRecording::Silent),
        "a constant offset is no sound"
    );
    assert_eq!(inspect(&wav(35.0, click)), Err(InvalidRecording::Silent));
    assert_eq!(inspect(&wav(35.0, hiss)), Err(InvalidRecording::Silent), "-56 dBFS");
}

#[test]
fn clipped_recording_is_rejected_and_a_loud_one_is_not() {
    #[expect(clippy::cast_possible_truncation, reason = "clamped to 16 bits")]
    let hum = |loudness: f64| {
        let hum = move |at: u32| (f64::from(at) * 0.1).sin() * loudness;
        wav(31.0, move |at| (hum(at) * 32_767.0).clamp(-32_768.0, 32_767.0) as i16)
    };
    assert!((seconds(&hum(1.0)) - 31.0).abs() < 0.001, "its crests just touch full scale");
    assert_eq!(inspect(&hum(1.2)), Err(InvalidRecording::Clipped));
    assert_eq!(inspect(&hum(20.0)), Err(InvalidRecording::Clipped));
}

#[test]
fn decompression_bomb_is_rejected_quickly() {
    let bomb = recording!("ten-minutes.flac");
    assert!(bomb.len() < 12_000, "ten minutes in {} bytes", bomb.len());
    let before = Instant::now();
    assert_eq!(inspect(bomb), Err(InvalidRecording::TooLong));
    assert!(before.elapsed() < HANG);
}

#[test]
fn table_of_four_billion_rows_is_rejected_quickly() {
    let mut file = recording!("snippets/fragmented.mp4").to_vec();
    let trun = file.windows(4).position(|bytes| bytes == b"trun").expect("a track run");
    file[trun + 4..trun + 8].fill(0); // no fields: its rows take no space
    file[trun + 8..trun + 12].fill(0xff);
    let before = Instant::now();
    assert_eq!(inspect(&file), Err(InvalidRecording::Unsupported));
    assert!(before.elapsed() < HANG);
}

#[test]
fn panicking_demuxer_makes_a_recording_corrupt() {
    let mut file = recording!("snippets/fragmented.mp4").to_vec();
    let trun = file.windows(4).position(|bytes| bytes == b"trun").expect("a track run");
    file[trun + 12..trun + 16].copy_from_slice(&i32::MIN.to_be_bytes()); // its data: 2 GB before the file
    assert_eq!(inspect(&file), Err(InvalidRecording::Corrupt));
}

#[test]
fn vorbis_table_size_counts_tables_at_any_bit_offset() {
    // The sync pattern, 32 dimensions, 131,072 entries: 16 MB of table in 8 bytes.
    let book = u64::from_le_bytes([0x42, 0x43, 0x56, 32, 0, 0, 0, 2]);
    for shift in 0..8 {
        let setup = (u128::from(book) << shift).to_le_bytes();
        assert_eq!(super::decode::vorbis_table_size(&setup), 4 * 1024 * 1024, "{shift} bits in");
    }
    let honest = super::decode::vorbis_table_size(recording!("vorbis.ogg"));
    assert!((1..1024 * 1024).contains(&honest), "{honest}");
}

#[test]
fn truncated_recording_neither_passes_nor_hangs_at_any_length() {
    /// Half of what is left is decoded each time, which takes an unoptimised decoder its while.
    const CUTS: usize = if cfg!(debug_assertions) { 10 } else { 50 };

    for (format, bytes) in SPEECH {
        for cut in 0..CUTS {
            let before = Instant::now();
            let result = inspect(&bytes[..bytes.len() * cut / CUTS]);
            assert!(result.is_err(), "{format:?} cut at {cut}/{CUTS} passed");
            assert!(before.elapsed() < HANG, "{format:?} cut at {cut}/{CUTS} took too long");
        }
    }
}

#[test]
fn mutated_recording_does_not_hang() {
    /// An unoptimised decoder is twenty times slower.
    const ROUNDS: usize = if cfg!(debug_assertions) { 60 } else { 2_000 };

    let mut state = 0x9e37_79b9_7f4a_7c15;
    for snippet in SNIPPETS.into_iter().chain([wav(1.0, buzz).as_slice()]) {
        for round in 0..ROUNDS {
            let mut bytes = snippet.to_vec();
            // Headers come first, so every other mutation is there.
            let reach = if round % 2 == 0 { bytes.len().min(400) } else { bytes.len() };
            for _ in 0..=random(&mut state) % 8 {
                bytes[random(&mut state) % reach] = random(&mut state).to_le_bytes()[0];
            }
            let before = Instant::now();
            assert!(inspect(&bytes).is_err(), "a second became half a minute");
            assert!(before.elapsed() < HANG, "round {round} took too long");
        }
    }
}

/// The files of public bug reports, with what is expected of them.
#[test]
fn reported_recordings_get_the_expected_answers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/recordings/reported");
    let table = fs::read_to_string(folder.join("expected.tsv")).expect("a table");
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [file, _, status, text, ..] = columns[..] else { panic!("{row}") };
        let (actual, answer) = match inspect(&fs::read(folder.join(file)).expect(file)) {
            Ok(audio) => ("200", audio.duration.as_secs_f64().to_string()),
            Err(error) => ("422", error.to_string()),
        };
        assert_eq!(actual, status, "{file}: {answer}");
        let is_expected = if status == "200" { answer.starts_with(text) } else { answer.contains(text) };
        assert!(is_expected, "{file}: {answer} instead of {text}");
        rows += 1;
    }
    assert_eq!(rows, 22);
}

#[test]
fn appended_bytes_are_cut_off() {
    let page = "<!doctype html><html><body><p>504 Gateway Time-out</p></body></html>".repeat(50);
    let tag = [b"TAG".as_slice(), &[b'x'; 125]].concat();
    let tails: [&[u8]; 5] =
        [b"\0\0\0\0", &[0; 5_000], page.as_bytes(), b"PK\x03\x04\x14\0\0\0\x08\0voice.bin", &tag];
    let buzzing = wav(35.0, buzz);
    for (format, bytes) in SPEECH.into_iter().chain([(Format::Wav, buzzing.as_slice())]) {
        for tail in tails {
            let audio =
                inspect(&[bytes, tail].concat()).unwrap_or_else(|error| panic!("{format:?}: {error}"));
            assert!(audio.bytes.starts_with(bytes), "{format:?}");
            // The last frame of a FLAC ends where its checksum does, give or take a zero.
            let excess = audio.bytes[bytes.len()..].to_vec();
            assert!(excess.is_empty() || excess == [0], "{format:?} keeps {} bytes", excess.len());
        }
    }
}

#[test]
fn second_recording_of_any_container_is_rejected() {
    let buzzing = wav(35.0, buzz);
    let all: Vec<(Format, &[u8])> = SPEECH.into_iter().chain([(Format::Wav, buzzing.as_slice())]).collect();
    for (first, one) in &all {
        for (second, other) in &all {
            // Takes of MP3 can be joined, and nothing tells them from one.
            if (*first, *second) == (Format::Mp3, Format::Mp3) {
                continue;
            }
            for padding in [0, 7] {
                let file = [one, [0; 7].get(..padding).expect("zeros"), other].concat();
                assert_eq!(inspect(&file), Err(InvalidRecording::MultipleRecordings), "{first:?} {second:?}");
            }
        }
    }
    // A WAV that does not say where it ends.
    let mut streamed = buzzing.clone();
    streamed[40..44].fill(0xff);
    assert_eq!(inspect(&[streamed, buzzing].concat()), Err(InvalidRecording::MultipleRecordings));
}

#[test]
fn wav_with_wrong_sizes_is_read_to_its_end_and_kept_with_right_ones() {
    let honest = wav(31.0, buzz);
    let size = u32::try_from(honest.len() - 44).expect("small");
    let wrong = [0, u32::MAX, 0xffff_ffd3, 0x7fff_f000, u32::MAX - 36, size + 8, size + 36, size + 44];
    for (riff, data) in
        wrong.map(|wrong| (size + 36, wrong)).into_iter().chain([(size + 28, size), (0, size), (0, 0)])
    {
        let mut file = honest.clone();
        file[4..8].copy_from_slice(&riff.to_le_bytes());
        file[40..44].copy_from_slice(&data.to_le_bytes());
        assert!(inspect(&file).expect("a recording").bytes == honest, "{riff:#x} {data:#x}");
    }
    // A chunk of an odd size, with and without padding.
    for odd in [b"LIST\x05\0\0\0INFOx\0".as_slice(), b"LIST\x05\0\0\0INFOx"] {
        let file = [&honest[..36], odd, &honest[36..]].concat();
        assert!(inspect(&file).expect("a recording").bytes == honest, "{} bytes", odd.len());
    }
}

#[test]
fn mp3_begins_behind_junk_and_may_change_its_rate() {
    let mp3 = recording!("speech-34s.mp3");
    let tagless = &inspect(&[&[0; 9], mp3].concat()).expect("a recording").bytes;
    let mut state = 7;
    let junk: Vec<u8> = (0..4_000).map(|_| random(&mut state).to_le_bytes()[0]).collect();
    for front in [[0; 1_000].as_slice(), &junk, b"ID3\x04\0\0\0\0\0\x0a0123456789\0\0\0"] {
        let audio = inspect(&[front, tagless].concat()).expect("a recording");
        assert!(audio.bytes == *tagless || audio.bytes.ends_with(tagless), "{} bytes", front.len());
        assert!((audio.duration.as_secs_f64() - 34.4).abs() < 0.1);
    }
    let headers = b"\xff\xf3\x14\xc4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".repeat(430_000);
    let before = Instant::now();
    assert_eq!(inspect(&headers), Err(InvalidRecording::TooLong), "10 MB of headers");
    assert!(before.elapsed() < HANG);
}

#[test]
fn message_does_not_recommend_the_format_that_was_sent() {
    for bytes in [b"\xff\xfd\xa4\x04".as_slice(), b"\xff\xfb\x04\x04", b"\xff\xf1\x50\x80"] {
        let message = inspect(&[bytes, &[7; 500]].concat()).unwrap_err().to_string();
        assert!(message.contains("WAV") && !message.contains("MP3"), "{message}");
    }
    let message = InvalidRecording::UnsupportedVariant(Format::Mp4).to_string();
    assert!(message.contains("MP3") && !message.contains("AAC"), "{message}");
}
