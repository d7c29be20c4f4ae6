package informer

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/go-openapi/strfmt"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

// FuzzLines applies arbitrary stream lines after a list of one task. Records in the copy have all required fields, the
// version never moves back, and repeated lines change nothing.
func FuzzLines(f *testing.F) {
	for _, seed := range []string{
		task("a", 8), task("b", 9) + "\n" + deleted("b", 10), heartbeat(9), `{"error":"slow"}`,
		`{"metadata":{"entityVersion":"x"}}`, "\n\n{}", `null`, `[]`,
		strings.Replace(task("a", 8), `"RUNNING"`, `null`, 1),
		strings.Replace(task("a", 8), `"containers":[]`, `"containers":[null,{"exitCode":1e9}]`, 1),
		`{"metadata":{"entityVersion":"9"},"entity":{"taskARN":7}}`, deleted("a", 11) + "\n" + task("a", 12),
		`{"metadata":{"entityVersion":"-1"}}`,
	} {
		f.Add([]byte(seed + "\n"))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := New(Config{Endpoints: []string{"css:3000"}})
		require.NoError(t, err)
		copied := newFollower(m, "tasks", m.tasks)
		copied.version = 7
		list, _, err := decodeList(strings.NewReader(listed(7, task("a", 7))), copied.records.decoded, copied.skip)
		require.NoError(t, err)
		copied.records.replace(list, m.reconciledAt, nil)
		var taken [][]byte
		lines := bufio.NewScanner(strings.NewReader(string(body)))
		lines.Split(wholeLines)
		for lines.Scan() {
			before := copied.version
			if copied.applyLine(lines.Bytes()) != nil {
				break // the informer lists again
			}
			if copied.version < before {
				t.Fatalf("from version %d back to %d: %q", before, copied.version, lines.Bytes())
			}
			taken = append(taken, append([]byte(nil), lines.Bytes()...))
		}
		for arn, r := range copied.records.byARN {
			if err := r.value.Validate(strfmt.Default); err != nil || arn == "" || r.cluster == "" || r.deleted {
				t.Fatalf("%q is in the copy: %+v, %v", arn, r, err)
			}
		}
		if copied.records.ordered.Len() != len(copied.records.byARN) {
			t.Fatalf("%d tasks in order, and %d by ARN", copied.records.ordered.Len(), len(copied.records.byARN))
		}
		state := func() string { return fmt.Sprint(copied.version, versions(copied.records)) }
		for want := state(); len(taken) > 0; taken = taken[1:] {
			last := taken[len(taken)-1]
			if err := copied.applyLine(last); err != nil || state() != want {
				t.Fatalf("%q changes %s into %s when it is repeated, %v", last, want, state(), err)
			}
		}
	})
}

func versions(c *records[models.Task]) map[string]int64 {
	found := map[string]int64{}
	for arn, r := range c.byARN {
		found[arn] = r.version
	}
	return found
}

// FuzzDecodeList inserts an arbitrary JSON value between two tasks of a list, which must not hide them.
func FuzzDecodeList(f *testing.F) {
	for _, seed := range []string{
		task("x", 3), task("a", 9), `null`, `7`, `"x"`, `[]`, `{"metadata":7}`, `{"metadata":{"entityVersion":7}}`,
		`{"entity":{"containers":[{"exitCode":1e99}]}}`,
		strings.Replace(task("x", 3), `"RUNNING"`, `{}`, 1), `{"metadata":{"deleted":"yes"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, item []byte) {
		if !json.Valid(item) {
			item = []byte("null")
		}
		body := listed(9, task("a", 7), string(item), task("b", 8))
		list, metadata, err := decodeList(strings.NewReader(body), readTask, func(*record[models.Task], error) {})
		if err != nil || metadata.version != 9 || len(list) < 2 ||
			list[0].arn != taskARN("a") || list[len(list)-1].arn != taskARN("b") {
			t.Fatalf("%d tasks, version %d, %v: %s", len(list), metadata.version, err, body)
		}
	})
}

func FuzzBaseURL(f *testing.F) {
	for _, seed := range []string{
		"css:3000", "http://css", "https://me:secret@css:3000/blox/", "css", "ftp://css:1", "http://css?x", "//",
		"[::1]:3000", "http://a b", "css:3000/%zz",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, endpoint string) {
		base, err := baseURL(endpoint)
		if err != nil {
			return
		}
		u, err := url.Parse(base + "/v1/tasks")
		if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" ||
			!strings.HasSuffix(u.Path, "/v1/tasks") {
			t.Errorf("%q leads to %q: %v", endpoint, base+"/v1/tasks", err)
		}
	})
}
