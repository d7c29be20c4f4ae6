package informer

import (
	"bytes"
	"context"
	"testing"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

// The lists of v0.3 lack the version that they show.
func TestInformer_ReportsAServiceThatIsTooOld(t *testing.T) {
	old := newCSS(t, []string{`{"items":[` + task("a", 1) + `]}`}, func(s stream) { s.beats(3) })
	var log bytes.Buffer
	logger := logrus.New()
	logger.SetOutput(&log)
	m, err := New(Config{Endpoints: []string{old.URL}, Log: logger})
	require.NoError(t, err)
	assert.False(t, m.TooOld(), "nothing is known yet")

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- follow(ctx, m, "tasks", m.tasks) }()
	testenv.Eventually(t, m.TooOld)
	cancel()
	require.NoError(t, <-ended)
	assert.False(t, m.Synced())
	assert.Contains(t, log.String(),
		"is too old: its lists have no entityVersion, as in v0.3; upgrade it before its clients")

	upgraded := newCSS(t, []string{listed(3, task("a", 1))}, func(s stream) { s.beats(3) })
	m.endpoints = []string{upgraded.URL}
	f := newFollower(m, "tasks", m.tasks)
	require.NoError(t, f.list(t.Context()))
	assert.False(t, m.TooOld())
}
