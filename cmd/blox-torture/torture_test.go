package main

import (
	"bytes"
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/blox/blox/cmd/blox-torture.init.func1.1")) // the thread that starts processes
}

// The short form of "make torture": what it does to Blox for minutes, for some seconds.
func TestBloxKeepsItsPromisesForAWhile(t *testing.T) {
	bin := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/blox/blox/cmd/blox-torture", "github.com/blox/blox/cmd/ecs-sim",
		"github.com/blox/blox/cmd/cluster-state-service", "github.com/blox/blox/cmd/daemon-scheduler")
	text, err := build.CombinedOutput()
	require.NoError(t, err, "%s", text)
	var out bytes.Buffer
	err = run(ctx, []string{"--seed", "11", "--duration", "25s", "--bin", bin, "--keep", t.TempDir(),
		"--faults", strings.Join(slices.DeleteFunc(slices.Clone(faultKinds), func(kind string) bool { return kind == "late" || kind == "stall" }), ",")}, &out)
	t.Log(out.String())
	assert.NoError(t, err)
}
