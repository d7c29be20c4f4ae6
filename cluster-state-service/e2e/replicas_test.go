package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/cluster-state-service/state"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/cluster-state-service/v1/models"
)

func TestReplicas_ReturnEqualAnswers(t *testing.T) {
	w := newSystem(t, ecssim.Config{})
	one, two := w.start().ready(), w.start().ready()
	definition := w.sim.RegisterTaskDefinition("agent")
	instances := w.sim.AddInstances("default", 10)
	w.startTasks(definition, instances...)
	one.awaitConvergence()
	_, first := one.get("/v1/tasks")
	_, second := two.get("/v1/tasks")
	assert.Equal(t, first, second)

	var leaders []string
	for _, replica := range []*css{one, two} {
		_, body := replica.get("/v1/ready")
		var ready models.Readiness
		require.NoError(t, json.Unmarshal([]byte(body), &ready))
		leaders = append(leaders, *ready.Leader)
	}
	assert.NotEmpty(t, leaders[0])
	assert.Equal(t, leaders[0], leaders[1], "both name the replica that reconciles")
}

// Two replicas that share an etcd and a queue are one linearizable register while events flow. Every answer is etcd's
// state at the version that it carries. No read is older than etcd or any earlier read.
func TestReplicas_AreLinearizable(t *testing.T) {
	w := newSystem(t,
		ecssim.Config{Seed: 3, Faults: ecssim.Faults{Events: ecssim.EventFaults{Duplicate: 0.2, Reorder: 0.2}}})
	replicas := []*css{w.start().ready(), w.start().ready()}
	definition := w.sim.RegisterTaskDefinition("agent")
	instances := w.sim.AddInstances("default", 8)
	w.sim.AddInstances("other", 1)
	h := newHistory(w)
	h.addEntities(state.KindInstance, "default", instances...)

	const readers, enough = 6, 1000
	stop := make(chan struct{})
	ended := sync.OnceFunc(func() { close(stop) })
	var reading sync.WaitGroup
	defer reading.Wait()
	defer ended()
	for n := range readers {
		reading.Go(func() {
			chance := rand.New(rand.NewPCG(1, uint64(n)))
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			for h.read(transport, replicas[chance.IntN(len(replicas))].url, chance) {
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for round := 0; h.reads.Load() < enough && !t.Failed(); round++ {
		tasks := w.startTasks(definition, instances[round%8])
		h.addEntities(state.KindTask, "default", tasks...)
		fargate := w.sim.StartFargateTask("other", "web")
		h.addEntities(state.KindTask, "other", fargate)
		if round%3 > 0 {
			require.NoError(t, w.sim.KillTask(tasks[0], 0))
			require.NoError(t, w.sim.KillTask(fargate, 1))
		}
		seen := h.reads.Load() // keep events flowing while readers run
		testenv.Eventually(t, func() bool { return h.reads.Load() > seen+20 || t.Failed() })
	}
	ended()
	reading.Wait()
	if t.Failed() {
		return
	}
	replicas[0].awaitConvergence()
	_, one := replicas[0].get("/v1/tasks")
	_, two := replicas[1].get("/v1/tasks")
	assert.True(t, one == two, "at rest there is one version, and one answer")
	h.equalsEtcd()
	t.Logf("%d reads; %d lists and %d records that differ in version", h.reads.Load(), len(h.lists), len(h.gets))
}
