package testenv

import (
	"embed"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

//go:embed events
var events embed.FS

// Event returns a sample event of ECS, such as task-ec2-running.json. replace holds pairs of old and new text.
func Event(tb testing.TB, name string, replace ...string) []byte {
	tb.Helper()
	body, err := events.ReadFile(path.Join("events", name))
	require.NoError(tb, err)
	return []byte(strings.NewReplacer(replace...).Replace(string(body)))
}

// Events returns all samples by name, including the malformed one.
func Events(tb testing.TB) map[string][]byte {
	tb.Helper()
	entries, err := events.ReadDir("events")
	require.NoError(tb, err)
	samples := map[string][]byte{}
	for _, e := range entries {
		samples[e.Name()] = Event(tb, e.Name())
	}
	return samples
}
