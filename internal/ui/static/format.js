// Text for numbers, times and identifiers.
const numberFormat = new Intl.NumberFormat();
const timeFormat = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});
const dateTimeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });

export const formatNumber = (value) => numberFormat.format(value);
export const formatTime = (date) => timeFormat.format(date);
export const formatDateTime = (date) => dateTimeFormat.format(date);
export const formatDay = (date) => dayFormat.format(date);

export function formatCount(count, singular, plural = singular + "s") {
  return formatNumber(count) + " " + (count === 1 ? singular : plural);
}

export function formatDuration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 90) return seconds + " s";
  if (seconds < 5400) return Math.round(seconds / 60) + " min";
  return Math.round(seconds / 3600) + " h";
}

// shortID returns the first characters of a UUID, enough to recognize a deployment.
export const shortID = (id) => (id ?? "").slice(0, 8);

// resourceID returns the part of an ARN after the last slash.
export const resourceID = (arn) => (arn ?? "").slice((arn ?? "").lastIndexOf("/") + 1);

// formatAge returns how long ago a time was, such as "3 min ago".
export function formatAge(timestamp) {
  const milliseconds = Date.now() - Date.parse(timestamp);
  if (Number.isNaN(milliseconds)) return timestamp;
  if (milliseconds < 5000) return "just now";
  if (milliseconds > 36 * 3_600_000) return Math.round(milliseconds / 86_400_000) + " d ago";
  return formatDuration(milliseconds) + " ago";
}
