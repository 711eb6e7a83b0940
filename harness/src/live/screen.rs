//! The state of a run on a whole screen.

use super::line::{figures, left, number, time};
use super::state::{CellStanding, ShownCell, State};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Gauge, List, ListItem, Paragraph, Row, Sparkline, Table};

const KEYS: &str = " q end the run   p hold the picture   ? help ";

const HELP: [&str; 10] = [
    "q, Ctrl-C  end the run; nothing is written",
    "p          hold the picture, and let it go on; the run goes on",
    "?, h       this help, and away with it",
    "",
    "Measurements:",
    "✓ valid    ? suspect: something may have distorted it",
    "✗ invalid: it says nothing about the broker",
    "↓ unsustainable: the broker did not keep up",
    "! failed: it came to no end",
    "Percentiles are over all threads, so far.",
];

/// What the keys have chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) is_held: bool,
    pub(super) has_help: bool,
}

pub(super) fn draw(frame: &mut Frame<'_>, state: &State, now_ns: u64, chosen: Chosen) {
    let [head, current, rates, middle, cells, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(3),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_head(frame, head, state, now_ns);
    draw_current(frame, current, state, now_ns);
    draw_rates(frame, rates, state);
    let [latencies, broker] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(middle);
    draw_latencies(frame, latencies, state);
    draw_broker(frame, broker, state);
    draw_cells(frame, cells, state);
    let held = if chosen.is_held { " held " } else { "" };
    let foot_line = Line::from(vec![Span::raw(KEYS), Span::styled(held, reversed())]);
    frame.render_widget(foot_line, foot);
    if chosen.has_help {
        draw_help(frame);
    }
}

fn reversed() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, state: &State, now_ns: u64) {
    let title = Span::styled(format!(" {} ", state.plan.title), reversed());
    let place = format!(" {} of {} ", state.step(), state.plan.cells);
    let rest = Span::raw(format!("{place}  {}", left(state.left_ms(now_ns))));
    frame.render_widget(Line::from(vec![title, rest]), area);
}

fn draw_current(frame: &mut Frame<'_>, area: Rect, state: &State, now_ns: u64) {
    let title = match state.current() {
        Some(current) => format!(" {}: {} ", current.cell.broker, current.cell.label),
        None => " nothing yet ".to_owned(),
    };
    let phase = match (state.phase, state.current()) {
        (Some(phase), _) => phase.to_string(),
        (None, Some(_)) => "over".to_owned(),
        (None, None) => String::new(),
    };
    let gauge = Gauge::default()
        .block(Block::bordered().title(title))
        .gauge_style(Style::new().fg(Color::Cyan))
        .ratio(state.phase_part(now_ns).unwrap_or(0.0))
        .label(phase);
    frame.render_widget(gauge, area);
}

fn draw_rates(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let block = Block::bordered().title(" Deliveries per second ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [line, graph] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(inner);
    frame.render_widget(Line::from(figures(state)), line);
    let newest = state.delivered_per_s.len().saturating_sub(graph.width.into());
    let sparkline = Sparkline::default()
        .data(state.delivered_per_s.iter().skip(newest).copied())
        .style(Style::new().fg(Color::Green));
    frame.render_widget(sparkline, graph);
}

fn draw_latencies(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let snapshot = &state.snapshot;
    let rows = [
        ("p50", snapshot.p50_ns),
        ("p90", snapshot.p90_ns),
        ("p99", snapshot.p99_ns),
        ("p99.9", snapshot.p99_9_ns),
        ("max", snapshot.max_ns),
    ];
    let rows = rows.map(|(name, ns)| Row::new([name.to_owned(), time(ns)]));
    let table = Table::new(rows, [Constraint::Length(7), Constraint::Min(10)])
        .block(Block::bordered().title(" Latency so far "));
    frame.render_widget(table, area);
}

fn draw_broker(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let (counts, rates) = (state.snapshot.counts, state.rates);
    let megabytes = state.snapshot.broker_resident_bytes >> 20;
    let rows = [
        ("CPU", format!("{:.0} %", rates.broker_cores * 100.0)),
        ("memory", format!("{megabytes} MiB")),
        ("sent", number(counts.sent)),
        ("delivered", number(counts.delivered)),
        ("acked", number(counts.acknowledged)),
        ("errors", counts.errors.to_string()),
    ];
    let rows = rows.map(|(name, value)| Row::new([name.to_owned(), value]));
    let table = Table::new(rows, [Constraint::Length(10), Constraint::Min(8)])
        .block(Block::bordered().title(" Broker and counts "));
    frame.render_widget(table, area);
}

/// The latest measurements, as many as there is room for.
fn draw_cells(frame: &mut Frame<'_>, area: Rect, state: &State) {
    let block = Block::bordered().title(" Measurements ");
    let room = usize::from(block.inner(area).height);
    let first = state.cells.len().saturating_sub(room);
    let items = state.cells.iter().skip(first).map(|cell| ListItem::new(cell_line(cell)));
    frame.render_widget(List::new(items).block(block), area);
}

fn cell_line(shown: &ShownCell) -> Line<'static> {
    let (sign, color) = match &shown.end {
        None => ('…', Color::Cyan),
        Some(end) => (end.standing.sign(), color(end.standing)),
    };
    let mut text = format!(" {}: {}", shown.cell.broker, shown.cell.label);
    if shown.delivered_per_s > 0 {
        text += &format!("  {}/s, p99 {}", number(shown.delivered_per_s), time(shown.p99_ns));
    }
    if let Some(end) = shown.end.as_ref().filter(|end| !end.reason.is_empty()) {
        text += &format!("  {}: {}", end.standing, end.reason);
    }
    Line::from(vec![Span::styled(sign.to_string(), Style::new().fg(color)), Span::raw(text)])
}

fn color(standing: CellStanding) -> Color {
    match standing {
        CellStanding::Valid => Color::Green,
        CellStanding::Suspect | CellStanding::Unsustainable => Color::Yellow,
        CellStanding::Invalid | CellStanding::Failed => Color::Red,
    }
}

fn draw_help(frame: &mut Frame<'_>) {
    let width = HELP.iter().map(|line| line.chars().count()).max().unwrap_or(0) as u16 + 4;
    let height = HELP.len() as u16 + 2;
    let area = frame.area().centered(Constraint::Length(width), Constraint::Length(height));
    frame.render_widget(Clear, area);
    let lines: Vec<_> = HELP.iter().map(|line| Line::from(format!(" {line}"))).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Help ")), area);
}

#[cfg(test)]
mod tests {
    use super::super::state::tests::{S, half_through};
    use super::*;
    use crate::live::state::LivePlan;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn drawn(state: &State, chosen: Chosen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(80, 30)).unwrap();
        terminal.draw(|frame| draw(frame, state, 15 * S, chosen)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn a_run_that_is_half_through() {
        insta::assert_snapshot!(drawn(&half_through(), Chosen::default()));
    }

    #[test]
    fn a_run_that_is_held_with_help() {
        let chosen = Chosen { is_held: true, has_help: true };
        insta::assert_snapshot!(drawn(&half_through(), chosen));
    }

    #[test]
    fn a_run_that_has_not_begun() {
        let state = State::new(LivePlan { title: "demo".to_owned(), ..LivePlan::default() });
        insta::assert_snapshot!(drawn(&state, Chosen::default()));
    }

    #[test]
    fn no_screen_is_too_small() {
        for size in [(1, 1), (10, 3), (300, 100)] {
            let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
            let chosen = Chosen { is_held: true, has_help: true };
            terminal.draw(|frame| draw(frame, &half_through(), 15 * S, chosen)).unwrap();
        }
    }
}
