package e2e

import (
	stdjson "encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
	"github.com/blox/blox/swagger/daemon-scheduler/v1/models"
)

// eventReceiver is a webhook that can be down. It counts the accepted events by id.
type eventReceiver struct {
	*httptest.Server
	mu     sync.Mutex
	down   bool
	counts map[string]int
}

func newEventReceiver(t *testing.T) *eventReceiver {
	r := &eventReceiver{counts: map[string]int{}}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *eventReceiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	var e models.Event
	if err == nil {
		err = stdjson.Unmarshal(body, &e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || r.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.counts[*e.ID]++
}

func (r *eventReceiver) setDown(down bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = down
}

// received returns how often each event was accepted.
func (r *eventReceiver) received() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.counts)
}

// changesOf returns the ids of all events of requests, oldest first.
func (r *replicas) changesOf(environment string) (ids []string) {
	var list models.Events
	r.mustCall(http.MethodGet, r.anyRunning(), "/v1/events?limit=1000&actor=*&environment="+environment, "", &list)
	for n := range list.Items {
		ids = append(ids, *list.Items[len(list.Items)-1-n].ID)
	}
	return ids
}

// Leaders are killed and restarted, and the webhook is down at times, while users change an environment. Every event
// that is stored reaches both sinks. Only the requests of a leader that was killed may be repeated.
func TestEventSinks_ReceiveEveryEventAcrossFailures(t *testing.T) {
	const kills, changes = 3, 12
	sim := ecssim.New(ecssim.Config{})
	sim.AddInstances("default", 2)
	sim.RegisterTaskDefinition("agent", ecssim.WithCPU(64), ecssim.WithMemory(64))
	receiver := newEventReceiver(t)
	r := startReplicas(t, sim, []string{
		"--leader-lease", "3s", "--event-webhook", receiver.URL, "--event-bus", "default",
	})
	awaitSinks(t, r, func() bool { return len(receiver.received()) > 0 && len(busCounts(t, sim)) > 0 })
	r.deployNew("agent", "")
	path := "/v1/environments/agent/"
	for n := range kills {
		receiver.setDown(n%2 == 0)
		sim.SetFaults(ecssim.Faults{Bus: ecssim.BusFaults{Fraction: 0.3}})
		for i := range changes {
			r.mustCall(http.MethodPost, r.anyRunning(), path+[]string{"pause", "resume"}[i%2], "", nil)
		}
		r.replaceLeader()
		r.awaitAnswers()
	}
	receiver.setDown(false)
	sim.SetFaults(ecssim.Faults{})
	r.mustCall(http.MethodPost, r.anyRunning(), path+"pause", "", nil)
	var last string
	testenv.Eventually(t, func() bool {
		ids := r.changesOf("agent")
		last = ids[len(ids)-1]
		return receiver.received()[last] > 0 && busCounts(t, sim)[last] > 0
	}, "the last event does not arrive")
	for sink, counts := range map[string]map[string]int{"webhook": receiver.received(), "bus": busCounts(t, sim)} {
		missing, repeated := 0, 0
		for _, id := range r.changesOf("agent") {
			if counts[id] == 0 {
				missing++
			}
			repeated += max(0, counts[id]-1)
		}
		assert.Zero(t, missing, "events that %s has not received", sink)
		assert.LessOrEqual(t, repeated, kills*20, "repetitions at %s", sink)
		t.Logf("%s: %d events, %d repetitions", sink, len(counts), repeated)
	}
	assert.Empty(t, sim.Counters().Violations)
}

// awaitAnswers returns when every replica responds.
func (r *replicas) awaitAnswers() {
	r.t.Helper()
	for _, address := range r.addresses {
		testenv.Eventually(r.t, func() bool {
			response, err := r.client.Get("http://" + address + "/v1/events")
			if err == nil {
				response.Body.Close()
			}
			return err == nil && response.StatusCode == http.StatusOK
		}, "%s does not respond", address)
	}
}

// awaitSinks returns when both sinks receive events: they receive those from the first position on.
func awaitSinks(t *testing.T, r *replicas, arrived func() bool) {
	t.Helper()
	n := 0
	testenv.Eventually(t, func() bool {
		if n++; n%50 == 1 {
			r.mustCall(http.MethodPost, r.addresses[0], "/v1/environments", fmt.Sprintf(
				`{"name":"first-%d","instanceGroup":{"cluster":"default"},"taskDefinition":"agent"}`, n), nil)
		}
		return arrived()
	})
}

func busCounts(t *testing.T, sim *ecssim.Sim) map[string]int {
	t.Helper()
	received, err := sim.BusEvents("default")
	require.NoError(t, err)
	counts := map[string]int{}
	for _, e := range received {
		var event models.Event
		require.NoError(t, stdjson.Unmarshal(e.Detail, &event))
		counts[*event.ID]++
	}
	return counts
}
