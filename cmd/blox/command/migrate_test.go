package command_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/testenv"
)

func TestMigrate_TakesOverAService(t *testing.T) {
	h := newHarness(t)
	h.prepareCluster(2)
	cfg, err := awsconfig.Load(t.Context(), h.getenv)
	require.NoError(t, err)
	client := ecs.NewFromConfig(cfg, func(o *ecs.Options) { o.HTTPClient = h.aws.Client() })
	_, err = client.CreateService(t.Context(), &ecs.CreateServiceInput{
		Cluster: aws.String("default"), ServiceName: aws.String("node-exporter"), TaskDefinition: aws.String("agent:1"),
		SchedulingStrategy: types.SchedulingStrategyDaemon,
	})
	require.NoError(t, err)
	live := func() int { return len(tableRows(h.mustRun("tasks", "list", "--cluster", "default"))) }
	testenv.Eventually(t, func() bool { return h.run("tasks", "list").out != "" && live() == 2 })

	planned := h.mustRun("migrate", "node-exporter", "--dry-run")
	assert.Contains(t, planned, "Takeover:         planned, START_FIRST, service node-exporter. ")
	assert.Equal(t, 1, h.run("environments", "describe", "node-exporter").code, "a dry run creates nothing")
	moved := h.run("migrate", "node-exporter", "--watch")
	require.Equal(t, 0, moved.code, moved.err)
	assert.Contains(t, moved.err, "  2 of 2 updated\n")
	assert.Equal(t, "COMPLETED", tableRows(moved.out)[0][1])
	testenv.Eventually(t, func() bool { return live() == 2 }, "the tasks of the service stop")
	testenv.Eventually(t, func() bool {
		return strings.HasPrefix(h.field("Takeover", "environments", "describe", "node-exporter"), "completed, ")
	}, "the takeover does not end with its deployment")

	for want, args := range map[string][]string{
		"--watch and --dry-run are mutually exclusive":                      {"node-exporter", "--dry-run", "--watch"},
		"SERVICE is required":                                               nil,
		"NAME is required: the service's name is longer than 30 characters": {"a-name-that-is-longer-than-that-of-others"},
	} {
		r := h.run(append([]string{"migrate"}, args...)...)
		assert.Equal(t, 2, r.code)
		assert.Contains(t, r.err, want)
	}
	missing := h.run("migrate", "missing")
	assert.Equal(t, 1, missing.code)
	assert.Contains(t, missing.err, `Service "missing" does not exist`)
}
