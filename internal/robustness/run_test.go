package robustness

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/internal/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The short form of "make robustness".
func TestRun_FindsNoViolationWithinSeconds(t *testing.T) {
	bin := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	require.NoError(t, harness.Build(ctx, bin,
		"cmd/blox-robustness", "cmd/ecs-sim", "cmd/cluster-state-service", "cmd/daemon-scheduler"))
	faults := slices.DeleteFunc(slices.Clone(faultKinds), func(kind string) bool {
		return kind == "late-start" || kind == "slow-readers"
	})
	var out bytes.Buffer
	err := Run(ctx, []string{"--seed", "11", "--duration", "25s", "--bin", bin, "--keep", t.TempDir(),
		"--faults", strings.Join(faults, ",")}, &out)
	t.Log(out.String())
	assert.NoError(t, err)
}
