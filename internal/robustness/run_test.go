package robustness

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/harness"
	"github.com/blox/blox/internal/harness/testclock"
	"github.com/blox/blox/internal/testenv/short"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// longFaults are those whose step after the scenario takes half a minute and more.
var longFaults = []string{"late-start", "slow-readers", "long-failures"}

// The short form of "make robustness".
func TestRun_FindsNoViolationWithinSeconds(t *testing.T) {
	short.Skip(t, "builds the programs")
	bin := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	require.NoError(t, harness.Build(ctx, bin,
		"cmd/blox", "cmd/blox-robustness", "cmd/ecs-sim", "cmd/cluster-state-service", "cmd/daemon-scheduler"))
	err := testclock.Build(ctx, filepath.Join(bin, clockDirectory), "cmd/cluster-state-service", "cmd/daemon-scheduler")
	noClocks := errors.Is(err, testclock.ErrUnsupported)
	require.True(t, err == nil || noClocks, err)
	faults := slices.DeleteFunc(slices.Clone(faultKinds), func(kind string) bool {
		return slices.Contains(longFaults, kind) || noClocks && slices.Contains(clockFaults, kind)
	})
	var out bytes.Buffer
	err = Run(ctx, []string{"--seed", "11", "--duration", "25s", "--bin", bin, "--keep", t.TempDir(),
		"--faults", strings.Join(faults, ",")}, &out)
	t.Log(out.String())
	assert.NoError(t, err)
}
