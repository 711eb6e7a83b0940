//! Every picture of a synthetic run is drawn, whole, and says what it shows.

mod synthetic;

use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;

use measure::{
    BrokerKind, GuaranteeClass, HistogramSet, LatencyHistogram, ResultsDir, RunRecord, Standing,
    StreamLatencies,
};
use plots::{Picture, PictureData, Rendered, pictures, render};
use roxmltree::Document;
use synthetic::synthetic_run;
use tempfile::TempDir;

const NAMES: [&str; 15] = [
    "streams",
    "knees",
    "stream-spectra",
    "heat-map",
    "over-time",
    "acknowledged",
    "throughput",
    "latency",
    "operation-spectra",
    "backlogs",
    "restarts",
    "outages",
    "handshakes",
    "idle-connections",
    "resources",
];

fn rendered() -> (TempDir, Rendered) {
    let (record, histograms) = synthetic_run();
    let temporary = TempDir::new().expect("a temporary directory");
    let rendered = render(&record, &histograms, temporary.path()).expect("a whole run");
    (temporary, rendered)
}

/// The texts of an SVG, in the order they are drawn.
fn texts(picture: &Picture) -> Vec<String> {
    let svg = picture.svg();
    let document = Document::parse(&svg).expect("well-formed XML");
    document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .filter_map(|node| node.text())
        .map(|text| text.trim().to_owned())
        .collect()
}

/// The size of a PNG, and its pixels in three bytes each.
fn decoded(png: &[u8]) -> ((u32, u32), Vec<u8>) {
    let mut reader = png::Decoder::new(Cursor::new(png)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a small picture")];
    reader.next_frame(&mut pixels).expect("a whole PNG");
    (reader.info().size(), pixels)
}

/// Draws the run, which must not panic, and looks at every picture.
fn check(record: &RunRecord, histograms: &HistogramSet, mut look: impl FnMut(&Picture)) {
    let drawn = pictures(record, histograms);
    assert_eq!(drawn.iter().map(Picture::name).collect::<Vec<_>>(), NAMES);
    for picture in &drawn {
        let svg = picture.svg();
        Document::parse(&svg).expect("well-formed XML");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{} has no numbers", picture.name());
        look(picture);
    }
}

#[test]
fn every_picture_is_written_as_svg_and_png() {
    let (temporary, rendered) = rendered();
    let dir = ResultsDir::create(temporary.path()).unwrap();
    let expected: BTreeSet<_> = NAMES
        .iter()
        .flat_map(|name| {
            [".svg", ".png", "-dark.png"].map(|end| dir.plots().join(format!("{name}{end}")))
        })
        .collect();
    assert_eq!(rendered.picture_files.iter().cloned().collect::<BTreeSet<_>>(), expected);
    for file in &rendered.picture_files {
        assert!(fs::metadata(file).unwrap().len() > 1000, "{} is empty", file.display());
    }
    assert_eq!(rendered.report_html, dir.report_html());
}

#[test]
fn pngs_are_twice_the_size_of_the_picture_and_not_blank() {
    let (temporary, rendered) = rendered();
    for picture in &rendered.pictures {
        let path = temporary.path().join(format!("plots/{}.png", picture.name()));
        let (size, pixels) = decoded(&fs::read(path).unwrap());
        let (width, height) = picture.size_px();
        assert_eq!(size, (2 * width, 2 * height));
        assert_eq!(&pixels[..3], [255, 255, 255], "the background is white");
        let inked = pixels.chunks_exact(3).filter(|pixel| *pixel != [255, 255, 255]).count();
        let (all, name) = (pixels.len() / 3, picture.name());
        assert!(inked * 100 > all, "{name}: {inked} of {all} pixels are inked");
    }
}

#[test]
fn text_is_drawn_in_the_embedded_font() {
    let (record, histograms) = synthetic_run();
    let ((width, _), pixels) = decoded(&pictures(&record, &histograms)[0].png().unwrap());
    // The title's rows hold nothing but letters.
    let row_bytes = width as usize * 3;
    let title_rows = &pixels[40 * row_bytes..70 * row_bytes];
    assert!(title_rows.chunks_exact(3).any(|pixel| pixel[0] < 80), "no letter was drawn");
}

#[test]
fn every_picture_names_every_broker_it_shows() {
    let (record, histograms) = synthetic_run();
    for picture in pictures(&record, &histograms) {
        let texts = texts(&picture);
        let shown = record.brokers.iter().filter(|broker| match picture.name() {
            "streams" | "stream-spectra" | "over-time" | "resources" => true,
            // It has room for the first twelve only.
            "heat-map" => broker.kind == BrokerKind::Broker,
            "acknowledged" | "backlogs" | "restarts" => !broker.backlogs.is_empty(),
            _ => !broker.operations.is_empty(),
        });
        for broker in shown {
            let named = texts.iter().any(|text| text.split(" · ").next() == Some(&broker.name));
            assert!(named, "{} does not name {}", picture.name(), broker.name);
        }
    }
}

#[test]
fn axes_carry_units() {
    let (record, histograms) = synthetic_run();
    for (name, expected) in [
        ("throughput", ["clients", "requests per second", "50 k"]),
        ("latency", ["publish · p99.9", "latency", "1 ms"]),
        ("stream-spectra", ["percentile", "99.9%", "100 µs"]),
        ("resources", ["time since its start", "10 MB", "stream 1→50"]),
        ("streams", ["of ceiling", "1.12×", "10.2 M/s"]),
        ("acknowledged", ["of the disk", "0.62×", "1.28 M/s, 128 MB/s"]),
        ("backlogs", ["of the disk", "1.05×", "340 MB/s, 9.00 MB resident"]),
        ("restarts", ["each GiB", "49.4 ms", "46.0 ms, 12.0 MB resident"]),
    ] {
        let drawn = pictures(&record, &histograms);
        let picture = drawn.iter().find(|picture| picture.name() == name).unwrap();
        let texts = texts(picture);
        for text in expected {
            assert!(texts.iter().any(|found| found == text), "{name} lacks {text:?}: {texts:?}");
        }
    }
}

#[test]
fn lost_messages_stand_beside_the_bar() {
    let (record, histograms) = synthetic_run();
    let texts = texts(&pictures(&record, &histograms)[0]);
    assert!(texts.contains(&"58.0% lost".to_owned()), "{texts:?}");
}

#[test]
fn who_may_not_be_believed_is_told_above_the_lines() {
    let (mut record, histograms) = synthetic_run();
    for stream in record.brokers.iter_mut().flat_map(|broker| &mut broker.streams) {
        if stream.payload_bytes == 100 {
            stream.verdict.standing = Standing::Suspect;
        }
    }
    let drawn = pictures(&record, &histograms);
    for (name, beginning) in [("over-time", "deliveries per second"), ("stream-spectra", "latency")]
    {
        let texts = texts(drawn.iter().find(|picture| picture.name() == name).unwrap());
        for words in ["all SUSPECT", "INVALID: nats-server"] {
            let expected = format!("{beginning} ({words})");
            assert!(texts.contains(&expected), "{name} lacks {expected}: {texts:?}");
        }
    }
}

#[test]
fn operations_that_may_not_be_ranked_have_no_latency() {
    let (mut record, histograms) = synthetic_run();
    for result in record.brokers.iter_mut().flat_map(|broker| &mut broker.operations) {
        result.verdict.standing = Standing::Unsustainable;
    }
    let drawn = pictures(&record, &histograms);
    let texts_of = |name| texts(drawn.iter().find(|picture| picture.name() == name).unwrap());
    assert!(texts_of("latency").contains(&"too few samples".to_owned()));
    assert!(texts_of("throughput").contains(&"invalid or unsustainable".to_owned()));
}

#[test]
fn long_names_and_many_faults_get_the_whole_width() {
    let (mut record, histograms) = synthetic_run();
    // Where all promise the same, names are short.
    record.brokers.retain(|broker| broker.name != "tandem-mio-disk");
    let height_px = |record: &RunRecord| pictures(record, &histograms)[0].size_px().1;
    let side_by_side = height_px(&record);
    record.brokers[0].name = "a-broker-with-a-name-that-goes-on".to_owned();
    for result in &mut record.brokers[0].streams {
        (result.lost, result.duplicated, result.reordered) = (1000, 2000, 3000);
    }
    assert!(height_px(&record) > side_by_side * 3 / 2);
}

#[test]
fn brokers_that_promise_different_things_are_shown_with_their_promises() {
    let (mut record, histograms) = synthetic_run();
    record.brokers[1].guarantee = GuaranteeClass::Synced;
    check(&record, &histograms, |picture| {
        let shown = texts(picture).iter().any(|text| text.contains("tandem-mio · after sync"));
        // Charts over time are titled by process.
        assert!(shown || matches!(picture.name(), "resources" | "heat-map"), "{}", picture.name());
    });
}

#[test]
fn pictures_have_a_title_and_a_description_for_screen_readers() {
    let (record, histograms) = synthetic_run();
    for picture in pictures(&record, &histograms) {
        let svg = picture.svg();
        let document = Document::parse(&svg).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("role"), Some("img"));
        let labels = root.attribute("aria-labelledby").unwrap();
        for id in labels.split(' ') {
            let label = root.children().find(|node| node.attribute("id") == Some(id)).unwrap();
            assert!(label.text().is_some_and(|text| text.len() > 10), "{id} says nothing");
        }
    }
}

#[test]
fn stand_alone_pictures_turn_dark_and_keep_their_colours_apart() {
    let (record, histograms) = synthetic_run();
    for picture in pictures(&record, &histograms) {
        assert!(picture.svg().contains("@media (prefers-color-scheme: dark)"));
    }
}

#[test]
fn a_run_without_results_says_so_in_every_picture() {
    let (mut record, _) = synthetic_run();
    record.brokers.clear();
    check(&record, &HistogramSet::new(), |picture| {
        assert_eq!(picture.data(), PictureData::Missing);
        assert!(texts(picture).iter().any(|text| text.starts_with("This run ")));
        assert!(!picture.png().unwrap().is_empty());
    });
}

#[test]
fn a_run_without_streams_says_so_where_streams_would_be() {
    let (mut record, histograms) = synthetic_run();
    for broker in &mut record.brokers {
        broker.streams.clear();
    }
    check(&record, &histograms, |picture| {
        let missing = matches!(
            picture.name(),
            "streams" | "stream-spectra" | "heat-map" | "over-time" | "acknowledged"
        );
        assert_eq!(picture.data() == PictureData::Missing, missing, "{}", picture.name());
    });
}

#[test]
fn one_client_count_makes_points_without_lines() {
    let (mut record, histograms) = synthetic_run();
    for broker in &mut record.brokers {
        broker.operations.retain(|result| result.clients == 50);
    }
    check(&record, &histograms, |picture| {
        if picture.name() == "throughput" {
            assert!(texts(picture).contains(&"50".to_owned()));
        }
    });
}

#[test]
fn missing_histograms_leave_their_charts_empty_and_say_so() {
    let (record, _) = synthetic_run();
    check(&record, &HistogramSet::new(), |picture| {
        let spectra = |it: &Picture| it.name().ends_with("spectra") || it.name() == "handshakes";
        let says_so = texts(picture).contains(&"no histogram, or too few samples".to_owned());
        assert_eq!(says_so, spectra(picture), "{}", picture.name());
    });
}

#[test]
fn zeros_everywhere_draw_without_panic() {
    let (mut record, _) = synthetic_run();
    for broker in &mut record.brokers {
        for result in &mut broker.operations {
            (result.count, result.throughput_per_s) = (0, 0.0);
            result.latency = LatencyHistogram::new().summary();
        }
        for result in &mut broker.streams {
            (result.messages_expected, result.lost, result.delivered_per_s) = (0, 0, 0.0);
            result.latencies = StreamLatencies::default();
            result.ratio_to_ceiling = None;
            if let Some(acknowledged) = &mut result.acknowledged {
                (acknowledged.per_s, acknowledged.bytes_per_s) = (0.0, 0.0);
            }
        }
        for result in &mut broker.backlogs {
            (result.messages, result.build.bytes_per_s) = (0, 0.0);
            result.drains.iter_mut().for_each(|drain| drain.pass.bytes_per_s = 0.0);
        }
        for result in &mut broker.restarts {
            (result.messages, result.ready_ns, result.stop_ns) = (0, vec![], vec![]);
        }
        for sample in &mut broker.resources {
            (sample.t_ns, sample.cpu_user_ns, sample.cpu_system_ns) = (0, 0, 0);
            sample.resident_bytes = 0;
        }
    }
    check(&record, &HistogramSet::new(), |_| {});
}

#[test]
fn figures_that_are_not_numbers_are_left_out() {
    let (mut record, histograms) = synthetic_run();
    record.brokers[0].operations[0].throughput_per_s = f64::NAN;
    record.brokers[1].streams[0].delivered_per_s = f64::INFINITY;
    record.brokers[2].streams[0].delivered_per_s = f64::NAN;
    record.brokers[0].backlogs[0].build.bytes_per_s = f64::NAN;
    record.brokers[1].streams[6].acknowledged.as_mut().unwrap().per_s = f64::INFINITY;
    check(&record, &histograms, |_| {});
}

#[test]
fn names_that_look_like_markup_stay_text() {
    let (mut record, histograms) = synthetic_run();
    record.brokers[0].name = "<b>&\"broker\"".to_owned();
    check(&record, &histograms, |picture| {
        if picture.name() == "throughput" {
            assert!(texts(picture).contains(&"<b>&\"broker\" · in memory".to_owned()));
        }
    });
}
