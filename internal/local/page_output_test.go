package local

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// missingLine returns the first line of a page's output that the output lacks, "" if there is none. The lines must
// be in order; there may be others between them. IDs, times, durations, addresses and numbers in JSON may differ.
func missingLine(want []string, output string) string {
	got := nonEmptyLines(output)
	for _, line := range want {
		if line == "…" || progressLine.MatchString(line) {
			continue
		}
		at := slices.IndexFunc(got, func(candidate string) bool { return sameLine(line, candidate) })
		if at < 0 {
			return line
		}
		got = got[at+1:]
	}
	return ""
}

// progressLine matches a line of a watched deployment. Which of its states a client sees depends on its speed.
var progressLine = regexp.MustCompile(`^  [0-9]+(/| of )[0-9]+ (replaced|running|updated)`)

func sameLine(want, got string) bool {
	var wantObject, gotObject map[string]any
	if json.Unmarshal([]byte(want), &wantObject) == nil {
		return json.Unmarshal([]byte(got), &gotObject) == nil && sameValue(wantObject, gotObject)
	}
	return normalise(want) == normalise(got)
}

// sameValue reports whether got has all keys of want, and values of the same kinds. Of arrays it compares the first
// elements.
func sameValue(want, got any) bool {
	switch want := want.(type) {
	case map[string]any:
		got, is := got.(map[string]any)
		for key := range maps.Keys(want) {
			if value, found := got[key]; !found || !sameValue(want[key], value) {
				return false
			}
		}
		return is
	case []any:
		got, is := got.([]any)
		return is && (len(want) > 0) == (len(got) > 0) && (len(want) == 0 || sameValue(want[0], got[0]))
	case float64:
		_, is := got.(float64)
		return is
	case string:
		got, is := got.(string)
		return is && (normalise(want) == normalise(got) || wholeNumber.MatchString(want) && wholeNumber.MatchString(got))
	}
	return want == got
}

// wholeNumber matches the strings that hold versions in JSON.
var wholeNumber = regexp.MustCompile(`^\d+$`)

// normalised are the parts that differ from run to run. The remarks in brackets behind stream lines are the page's.
var normalised = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`), "TIME"},
	{regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}`), "ID"},
	{regexp.MustCompile(`\b(i-[0-9a-f]{17}|[0-9a-f]{8})\b`), "ID"},
	{regexp.MustCompile(`\b\S+-ID\b`), "REPLICA"},
	{regexp.MustCompile(`\becs-svc/\d+\b`), "SERVICE"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`\b\d+\.\d{3}\b`), "SECONDS"},
	{regexp.MustCompile(`\b(\d+(\.\d+)?(ms|[hms]))+\b`), "DURATION"},
	{regexp.MustCompile(`\s{3,}\([a-z ]+\)$`), ""},
	{regexp.MustCompile(`\s+`), " "},
}

func normalise(text string) string {
	for _, n := range normalised {
		text = n.pattern.ReplaceAllString(text, n.word)
	}
	return strings.TrimSpace(text)
}

func TestMissingLine_FindsWhatTheOutputLacks(t *testing.T) {
	for name, tc := range map[string]struct {
		want, got string
		missing   string
	}{
		"equal":                      {"a\nb", "a\nb", ""},
		"further lines between":      {"a\nb", "a\nx\nb\ny", ""},
		"other order":                {"a\nb", "b\na", "b"},
		"a line is missing":          {"a\nb", "a", "b"},
		"further lines are left out": {"a\n…", "a\nb", ""},
		"progress depends on the speed": {
			"  0/3 running\nCompleted in 300ms.", "  0/3 running, 2 pending\nCompleted in 1m2.5s.", ""},
		"other IDs and spaces": {
			"RUNNING arn:task/0123456789abcdef0123456789abcdef      (new instance)",
			"RUNNING arn:task/fedcba9876543210fedcba9876543210", ""},
		"another word":       {"RUNNING a", "STOPPED a", "RUNNING a"},
		"another exit code":  {"exit code 5", "exit code 3", "exit code 5"},
		"other JSON numbers": {`{"id":"x","n":1}`, `{"n":2,"id":"x","further":[]}`, ""},
		"a JSON key is missing": {
			`{"id":"x","n":1}`, `{"id":"x"}`, `{"id":"x","n":1}`},
		"another JSON word":       {`{"status":"pending"}`, `{"status":"failed"}`, `{"status":"pending"}`},
		"another version in JSON": {`{"entityVersion":"30"}`, `{"entityVersion":"28"}`, ""},
		"another JSON type":       {`{"n":1}`, `{"n":"1"}`, `{"n":1}`},
		"elements differ":         {`{"a":[{"b":"x"}]}`, `{"a":[{"b":"y"}]}`, `{"a":[{"b":"x"}]}`},
		"an element is unwelcome": {`{"a":[]}`, `{"a":[1]}`, `{"a":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, tc.missing, missingLine(nonEmptyLines(tc.want), tc.got))
		})
	}
}
