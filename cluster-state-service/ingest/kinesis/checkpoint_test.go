package kinesis

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestParseCheckpoint_StartsAnewIfUnusable(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]checkpoint{
		``:  {StreamCreated: created},
		`{`: {StreamCreated: created},
		`{"sequenceNumber":"7","streamCreated":"2026-01-02T03:04:05Z"}`: {"7", false, created},
		`{"ended":true,"streamCreated":"2026-01-02T03:04:05Z"}`:         {"", true, created},
		`{"sequenceNumber":"7","streamCreated":"2025-01-02T03:04:05Z"}`: {StreamCreated: created},
		`{"sequenceNumber":"7","ended":true}`:                           {StreamCreated: created},
	} {
		assert.Equal(t, want, parseCheckpoint([]byte(value), created), value)
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	for _, seed := range []string{
		`{"sequenceNumber":"49","streamCreated":"2026-01-02T03:04:05Z"}`,
		`{"ended":true,"streamCreated":"2026-01-02T04:04:05+01:00"}`,
		`{"sequenceNumber":"1","streamCreated":"2026-01-02T03:04:06Z"}`, `{"sequenceNumber":7}`, `null`, ``, `[]`,
	} {
		f.Add([]byte(seed))
	}
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value []byte) {
		c := parseCheckpoint(value, created)
		if !c.StreamCreated.Equal(created) {
			t.Fatalf("%q: of another stream: %+v", value, c)
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		again := parseCheckpoint(written, created)
		if again.SequenceNumber != c.SequenceNumber || again.Ended != c.Ended {
			t.Fatalf("%q: %+v becomes %+v", value, c, again)
		}
	})
}
