//! Finding the container, the audio track in it and a decoder for that.

use std::io::ErrorKind;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known as codec_id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoderOptions};
use symphonia::core::common::Limit;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::default::{get_codecs, get_probe};

use super::fenced;
use super::reader::Inner;
use crate::media::error::MediaError;
use crate::media::source::Limited;

/// Tags and pictures are of no interest here; more than this of them is skipped.
const META_LIMIT: Limit = Limit::Maximum(1024 * 1024);

/// Opens the container and chooses its audio track.
pub(super) fn demuxer(
    source: Limited,
) -> Result<(Box<dyn FormatReader>, Track, AudioCodecParameters), MediaError> {
    let stream = MediaSourceStream::new(Box::new(source), Default::default());
    let meta = MetadataOptions::default().limit_tag_bytes(META_LIMIT).limit_visual_bytes(META_LIMIT);
    let reader = fenced(|| get_probe().probe(&Hint::new(), stream, FormatOptions::default(), meta))?
        .map_err(no_container)?;
    let track = reader.default_track(TrackType::Audio).or_else(|| reader.first_track(TrackType::Audio));
    let Some(track) = track.cloned() else {
        return Err(MediaError::Unsupported {
            why: format!("the {} file holds no audio track", reader.format_info().short_name),
        });
    };
    match &track.codec_params {
        Some(CodecParameters::Audio(params)) => {
            let params = params.clone();
            Ok((reader, track, params))
        }
        _ => Err(MediaError::Unsupported { why: "its audio track names no codec".into() }),
    }
}

/// Opens container and decoder.
pub(super) fn open(source: Limited) -> Result<Inner, MediaError> {
    let (reader, track, params) = demuxer(source)?;
    if get_codecs().get_audio_decoder(params.codec).is_none() {
        return Err(not_decoded(params.codec, reader.format_info().short_name));
    }
    let options = AudioDecoderOptions::default().gapless(true);
    let decoder = fenced(|| get_codecs().make_audio_decoder(&params, &options))?.map_err(|e| match e {
        Error::Unsupported(why) => MediaError::Unsupported { why: why.to_owned() },
        other => MediaError::damaged(other.to_string()),
    })?;
    Ok(Inner { reader, decoder, track, params })
}

fn no_container(e: Error) -> MediaError {
    match e {
        Error::IoError(e) if e.kind() != ErrorKind::UnexpectedEof => MediaError::Io(e),
        Error::IoError(_) => MediaError::Truncated,
        Error::Unsupported(_) => {
            MediaError::NotAudio { why: "it is none of WAV, FLAC, MP3, AAC, Ogg, MP4 and Matroska".into() }
        }
        Error::LimitError(why) => MediaError::damaged(why),
        other => MediaError::damaged(other.to_string()),
    }
}

fn not_decoded(codec: AudioCodecId, container: &str) -> MediaError {
    let name = match codec {
        codec_id::CODEC_ID_OPUS => "Opus",
        codec_id::CODEC_ID_SPEEX => "Speex",
        codec_id::CODEC_ID_AC3 | codec_id::CODEC_ID_EAC3 => "Dolby AC-3",
        codec_id::CODEC_ID_DCA => "DTS",
        codec_id::CODEC_ID_WMA => "Windows Media Audio",
        codec_id::CODEC_ID_WAVPACK => "WavPack",
        codec_id::CODEC_ID_ADPCM_MS | codec_id::CODEC_ID_ADPCM_IMA_WAV => "ADPCM",
        codec_id::CODEC_ID_MP1 | codec_id::CODEC_ID_MP2 => "MPEG layer 1 or 2",
        _ => "a codec unknown here",
    };
    MediaError::Unsupported {
        why: format!("{name} (in {container}) has no decoder here; send WAV, FLAC, MP3, AAC or Ogg Vorbis"),
    }
}
