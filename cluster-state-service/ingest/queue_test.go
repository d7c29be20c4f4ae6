package ingest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseQueue_SplitsServiceAndName(t *testing.T) {
	for given, want := range map[string][]string{
		"blox_queue": {"sqs", "blox_queue"}, "sqs://q.fifo": {"sqs", "q.fifo"},
		"kinesis://events.v1": {"kinesis", "events.v1"},
	} {
		service, name, err := ParseQueue(given)
		require.NoError(t, err)
		assert.Equal(t, want, []string{service, name})
	}
	for _, bad := range []string{
		"", "sqs://", "kinesis://", "kinesis://a:b", "kinesis://a/b", "http://queue", "a/b", "a b",
	} {
		_, _, err := ParseQueue(bad)
		assert.Error(t, err, bad)
	}
}

func FuzzParseQueue(f *testing.F) {
	for _, seed := range []string{
		"blox_queue", "sqs://q.fifo", "kinesis://events.v1", "kinesis://a/b", "://", "sqs://a\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		service, name, err := ParseQueue(given)
		if err != nil {
			return
		}
		service2, name2, err := ParseQueue(service + "://" + name)
		if err != nil || service2 != service || name2 != name || name == "" {
			t.Errorf("%q is %q, %q, which is %q, %q, %v", given, service, name, service2, name2, err)
		}
		if !strings.HasSuffix(given, name) {
			t.Errorf("%q names %q", given, name)
		}
	})
}
