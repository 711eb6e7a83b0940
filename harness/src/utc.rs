//! Dates and times as file names have them.

const MS_PER_S: u64 = 1000;
const S_PER_DAY: u64 = 86_400;

/// A time as `20261123T013000Z` (ISO 8601, basic format, UTC).
#[must_use]
pub fn basic_format(unix_ms: u64) -> String {
    let unix_s = unix_ms / MS_PER_S;
    let (year, month, day) = civil_date(unix_s / S_PER_DAY);
    let second = unix_s % S_PER_DAY;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// The date that is `days` after 1970-01-01, in the Gregorian calendar.
///
/// Counted in eras of 400 years that begin on 1 March, so that leap days come last; see
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_FROM_0000_03_01: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let days = days + DAYS_FROM_0000_03_01;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + 400 * (days / DAYS_PER_ERA) + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_calendar_has_them() {
        assert_eq!(basic_format(0), "19700101T000000Z");
        assert_eq!(basic_format(951_782_400_000), "20000229T000000Z");
        assert_eq!(basic_format(1_709_251_199_999), "20240229T235959Z");
        assert_eq!(basic_format(4_107_542_400_000), "21000301T000000Z");
    }
}
