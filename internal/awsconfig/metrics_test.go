package awsconfig

import (
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

func TestWithMetrics_CountsAttemptsByOutcome(t *testing.T) {
	respond := func(status int) string {
		url, _, _ := fakeAWS(t, status)
		return url
	}
	for name, tc := range map[string]struct{ url, want string }{
		"a success":               {respond(http.StatusOK), "succeeded"},
		"a status of 4xx":         {respond(http.StatusBadRequest), "rejected"},
		"a status of 5xx":         {respond(http.StatusInternalServerError), "failed"},
		"no response from server": {"http://" + testenv.FreeAddress(t), "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			cleanEnv(t)
			registry := prometheus.NewRegistry()
			client, err := ECS(WithMetrics(load(t, with(tc.url)), registry), env(nil))
			require.NoError(t, err)
			_, _ = client.ListClusters(t.Context(), &ecs.ListClustersInput{}, NoRetry)
			assert.Equal(t, []string{"ListClusters", tc.want, "ECS"}, labelsOf(t, registry, "aws_calls_total"))
		})
	}
}

// labelsOf returns the label values of a metric's only series, in the order of the labels' names.
func labelsOf(t *testing.T, registry *prometheus.Registry, name string) (values []string) {
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		require.Len(t, family.GetMetric(), 1)
		for _, label := range family.GetMetric()[0].GetLabel() {
			values = append(values, label.GetValue())
		}
	}
	return values
}
