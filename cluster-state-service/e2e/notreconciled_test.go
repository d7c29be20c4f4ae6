package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

const ourClusters = "arn:aws:ecs:us-east-1:123456789012:cluster/"

// forbidden makes ECS refuse an action for the cluster "secret".
func forbidden(action string) ecssim.Faults {
	return ecssim.Faults{
		Events: ecssim.EventFaults{Drop: 1},
		Refusals: map[string]ecssim.Refusal{
			action: {Code: "AccessDeniedException", Fraction: 1, Cluster: "secret"},
		},
	}
}

// callsOf counts the calls of an action by cluster.
func (w *system) callsOf(action string) (calls func(cluster string) int) {
	var mu sync.Mutex
	counts := map[string]int{}
	next := w.aws.Config.Handler
	w.aws.Config.Handler = http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), "."+action) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(w.t, err)
			r.Body = io.NopCloser(bytes.NewReader(body))
			var in struct{ Cluster string }
			assert.NoError(w.t, json.Unmarshal(body, &in))
			mu.Lock()
			counts[strings.TrimPrefix(in.Cluster, ourClusters)]++
			mu.Unlock()
		}
		next.ServeHTTP(to, r)
	})
	return func(cluster string) int {
		mu.Lock()
		defer mu.Unlock()
		return counts[cluster]
	}
}

// A cluster that ECS rejects is not served as if it were empty. The others are served, and not read again.
func TestReconcile_ServesAllClustersButTheForbidden(t *testing.T) {
	w := newSystem(t, ecssim.Config{Faults: forbidden("ListContainerInstances")})
	for _, cluster := range []string{"default", "other", "secret"} {
		w.sim.AddInstances(cluster, 2)
	}
	calls := w.callsOf("ListContainerInstances")
	c := w.start().ready()
	const text = "Not yet reconciled with ECS: " + ourClusters + "secret: ListContainerInstances: AccessDeniedException\n"
	secret := w.sim.Instances("secret")[0].ARN
	for _, path := range []string{
		"/v1/instances?cluster=secret", "/v1/instances?cluster=" + ourClusters + "secret", "/v1/tasks?cluster=secret",
		"/v1/instances/secret/" + secret,
	} {
		answer, body := c.get(path)
		assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, path)
		assert.Equal(t, "1", answer.Header.Get("Retry-After"), path)
		assert.Equal(t, text, body, path)
	}
	for path, served := range map[string]int{
		"/v1/instances": 4, "/v1/instances?cluster=default": 2, "/v1/instances?cluster=unknown": 0, "/v1/clusters": 2,
	} {
		answer, body := c.get(path)
		assert.Equal(t, http.StatusOK, answer.StatusCode, body)
		var list struct {
			Items    []json.RawMessage
			Metadata struct {
				NotReconciled []string
				ReconciledAt  string
			}
		}
		require.NoError(t, json.Unmarshal([]byte(body), &list))
		assert.Len(t, list.Items, served, path)
		assert.Equal(t, []string{ourClusters + "secret"}, list.Metadata.NotReconciled, path)
		assert.NotEmpty(t, list.Metadata.ReconciledAt, path)
	}
	_, metrics := c.do(http.MethodGet, "/metrics")
	assert.Contains(t, metrics, "blox_css_clusters_not_reconciled{account=\"123456789012\",region=\"us-east-1\"} 1\n")

	testenv.Eventually(t, func() bool { return calls("secret") >= 4 })
	assert.Equal(t, 1, calls("default"))
	assert.Equal(t, 1, calls("other"))
	w.sim.SetFaults(ecssim.Faults{})
	testenv.Eventually(t, func() bool {
		answer, _ := c.get("/v1/instances/secret/" + secret)
		return answer.StatusCode == http.StatusOK
	})
	_, body := c.get("/v1/instances")
	assert.NotContains(t, body, "notReconciled")
	c.awaitConvergence()
}

// A cluster that is refused later keeps its records, and a new cluster is found before the next interval.
func TestReconcile_KeepsServingAClusterThatFailsLater(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	w.sim.AddInstances("secret", 2)
	first := w.start().ready()
	first.awaitConvergence()
	first.stop()
	w.sim.SetFaults(forbidden("ListContainerInstances"))
	calls := w.callsOf("ListContainerInstances")
	second := w.start().ready()
	testenv.Eventually(t, func() bool { return calls("secret") >= 2 })
	answer, body := second.get("/v1/instances?cluster=secret")
	assert.Equal(t, http.StatusOK, answer.StatusCode, body)
	assert.Len(t, second.served(), 2)
	assert.NotContains(t, body, "notReconciled")
}

// ECS throttles at start. The service lists the tasks within seconds after the fault has ended.
func TestReconcile_RetriesTheFirstReconciliationWithinSeconds(t *testing.T) {
	w := newSystem(t, ecssim.Config{Faults: ecssim.Faults{
		Events: ecssim.EventFaults{Drop: 1}, Throttle: map[string]float64{"ListTasks": 1},
	}})
	w.startTasks(w.sim.RegisterTaskDefinition("agent"), w.sim.AddInstances("default", 3)...)
	calls := w.callsOf("ListContainerInstances")
	c := w.start()
	testenv.Eventually(t, func() bool { return calls("default") >= 3 }, "the cluster is retried")
	answer, body := c.get("/v1/tasks?cluster=default")
	assert.Equal(t, http.StatusServiceUnavailable, answer.StatusCode, body)
	w.sim.SetFaults(ecssim.Faults{})
	assert.Equal(t, w.ecsState(), c.ready().served())
}
