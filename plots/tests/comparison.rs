//! A comparison becomes a picture and a page, of which neither needs anything else.

use measure::comparison::Comparison;
use plots::{
    Picture, PictureData, comparison_html, comparison_picture, comparison_section_html,
    render_comparison,
};
use roxmltree::Document;
use tempfile::TempDir;

fn sample() -> Comparison {
    serde_json::from_str(include_str!("../../measure/tests/data/comparison.json"))
        .expect("the sample is kept in the current format")
}

fn texts(picture: &Picture) -> Vec<String> {
    let svg = picture.svg();
    let document = Document::parse(&svg).expect("a picture is XML");
    let nodes = document.descendants().filter(|node| node.has_tag_name("text"));
    nodes.filter_map(|node| Some(node.text()?.trim().to_owned())).collect()
}

#[test]
fn svg_png_and_page_are_written() {
    let dir = TempDir::new().unwrap();
    let written = render_comparison(&sample(), &dir.path().join("new")).unwrap();
    let names: Vec<_> = written.iter().map(|path| path.file_name().unwrap()).collect();
    let pictures = ["comparison.svg", "comparison.png", "comparison-dark.png"];
    assert_eq!(names, [&["comparison.html"], &pictures[..]].concat());
    assert!(written.iter().all(|path| path.metadata().unwrap().len() > 1000));
}

#[test]
fn the_picture_names_every_metric_with_its_change_and_verdict() {
    let texts = texts(&comparison_picture(&sample()));
    let has = |wanted: &str| texts.iter().any(|text| text.contains(wanted));
    for wanted in ["delivered", "CPU per delivery", "worse", "better", "within noise", "same"] {
        assert!(has(wanted), "{wanted} is not in {texts:?}");
    }
    assert!(has("−10.0 % [−11.1, −9.1], worse"), "{texts:?}");
    assert!(has("incomparable: see the table"), "{texts:?}");
}

#[test]
fn the_picture_tells_its_content_to_those_who_cannot_see_it() {
    let picture = comparison_picture(&sample());
    assert_eq!(picture.data(), PictureData::Shown);
    assert!(picture.description().contains("delivered −10.0 % [−11.1, −9.1] (worse)"));
}

#[test]
fn the_page_loads_nothing_and_turns_dark() {
    let page = comparison_html(&sample(), &comparison_picture(&sample()));
    for foreign in ["<link", "src=", "@import", "href=\"http"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("<script").count(), 1, "that of the button");
    assert!(page.contains("light-dark("));
}

#[test]
fn the_section_says_what_differs_what_is_left_out_and_why() {
    let section = comparison_section_html(&sample(), &comparison_picture(&sample()));
    for wanted in [
        "6 worse, 6 better, 6 within noise, 3 incomparable",
        "tandem-mio: 1→50, 100 B: delivered is worse: −10.0 %",
        "the guarantees differ: in memory in A",
        "payload is 100 B in A and 1000 B in B",
        "only-before: 1→50, 100 B: only A has it",
        "too few repeats to tell: 3 of 5",
        "p cannot fall below",
    ] {
        assert!(section.contains(wanted), "{wanted}");
    }
}

#[test]
fn names_that_look_like_markup_stay_text() {
    let mut comparison = sample();
    comparison.b.run_id = "<b>&\"".to_owned();
    comparison.cells[0].broker_a = "<script>".to_owned();
    let picture = comparison_picture(&comparison);
    let page = comparison_html(&comparison, &picture);
    assert_eq!(page.matches("<script").count(), 1, "that of the button");
    assert!(!page.contains("<b>"));
    assert!(Document::parse(&picture.svg()).is_ok());
}

#[test]
fn nothing_to_compare_says_so() {
    let mut comparison = sample();
    comparison.cells.clear();
    let picture = comparison_picture(&comparison);
    assert_eq!(picture.data(), PictureData::Missing);
    assert!(texts(&picture).iter().any(|text| text.contains("the tables say why")));
    assert!(picture.png().is_ok());
}

#[test]
fn of_many_cells_those_that_differ_are_drawn_and_the_rest_is_counted() {
    let mut comparison = sample();
    let [differs, alike] = [0, 1].map(|index| comparison.cells[index].clone());
    comparison.cells = vec![alike; 60];
    comparison.cells.push(differs);
    let texts = texts(&comparison_picture(&comparison));
    assert!(texts.iter().any(|text| text.starts_with("tandem-mio: ")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("more cells are in the tables only")));
}
