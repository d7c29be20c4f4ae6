package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRun_ReturnsExitCodeOfCommand(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		code int
		err  string
	}{
		"success":            {[]string{"true"}, 0, ""},
		"a code":             {[]string{"sh", "-c", "exit 7"}, 7, ""},
		"a signal":           {[]string{"sh", "-c", "kill -KILL $$"}, 1, "sh: signal: killed"},
		"an unknown command": {[]string{"no-such-command"}, 1, "no-such-command: "},
		"no command":         {nil, 2, "no command: "},
	} {
		t.Run(name, func(t *testing.T) {
			code, err := run(t.Context(), tc.args)
			assert.Equal(t, tc.code, code)
			if tc.err == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, tc.err)
			}
		})
	}
}

func TestRun_EndsCommandAndItsChildrenWhenInterrupted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "child")
	exists := func(path string) func() bool {
		return func() bool { _, err := os.Stat(path); return err == nil }
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		assert.Eventually(t, exists(file+".started"), time.Minute, time.Millisecond)
	}()
	child := `(trap 'touch "$0.ended"; exit' TERM; touch "$0.started"; while :; do sleep 0.01; done) & wait`
	code, err := run(ctx, []string{"sh", "-c", child, file})
	assert.Equal(t, 1, code)
	assert.Error(t, err)
	assert.Eventually(t, exists(file+".ended"), time.Minute, time.Millisecond)
}
