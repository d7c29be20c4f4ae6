package eventsink

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/blox/blox/daemon-scheduler/environment"
	"github.com/blox/blox/daemon-scheduler/events"
	"github.com/blox/blox/daemon-scheduler/store"
	"github.com/blox/blox/internal/awsconfig"
	"github.com/blox/blox/internal/ecssim"
	"github.com/blox/blox/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture has a real etcd, a store of events, a simulated EventBridge and a receiver of requests.
type fixture struct {
	t        *testing.T
	records  *store.Store
	events   *events.Store
	sim      *ecssim.Sim
	receiver *receiver
	cfg      Config
	registry *prometheus.Registry
	recorded int
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, records: store.New(testenv.Etcd(t), testenv.Logger(t)), sim: ecssim.New(ecssim.Config{})}
	f.events = events.NewStore(f.records, testenv.Logger(t))
	f.background(func(ctx context.Context) { assert.NoError(t, f.events.Run(ctx)) })
	testenv.Eventually(t, func() bool { _, err := f.events.List(); return err == nil })
	server := httptest.NewServer(f.sim)
	t.Cleanup(func() { f.sim.Close(); server.Close() })
	aws, err := awsconfig.Load(t.Context(), func(name string) string {
		return map[string]string{
			"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
		}[name]
	})
	require.NoError(t, err)
	f.receiver = newReceiver(t)
	f.cfg = Config{
		AWS: aws, Events: f.events, Store: f.records, Log: testenv.Logger(t),
		Encode: func(e environment.Event) []byte {
			body, err := json.Marshal(map[string]any{"id": e.ID, "count": e.Count})
			assert.NoError(t, err)
			return append(body, '\n')
		},
	}
	return f
}

// background runs a function until the test ends or stop is called.
func (f *fixture) background(run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); group.Wait() })
	f.t.Cleanup(stop)
	return stop
}

// lead sends events as the leader until stop is called. It returns once the sinks have a position.
func (f *fixture) lead(options Options) (stop func()) {
	f.t.Helper()
	f.registry = prometheus.NewRegistry()
	cfg := f.cfg
	cfg.Options, cfg.Metrics = options, f.registry
	sinks := New(cfg)
	stop = f.background(func(ctx context.Context) {
		assert.NoError(f.t, f.records.Lead(ctx, "one", 2*time.Second, func(ctx context.Context, term store.Term) error {
			sinks.Run(ctx, term)
			return nil
		}))
	})
	testenv.Eventually(f.t, func() bool {
		for _, d := range sinks.deliveries {
			var delivered events.Delivered
			if version, err := f.records.ReadDelivered(f.t.Context(), d.sink.name(), &delivered); err != nil || version == 0 {
				return false
			}
		}
		return true
	})
	return stop
}

// record records changes of environments and returns their ids.
func (f *fixture) record(n int) (ids []string) {
	f.t.Helper()
	f.recorded++
	b := events.Batch{ID: fmt.Sprintf("change-%020d", f.recorded)}
	for i := range n {
		b.Events = append(b.Events, environment.Event{
			LastSeenAt: time.Now(), Action: environment.EventEnvironmentPaused, Environment: "logs", Actor: "alice",
			Cluster: "arn:aws:ecs:us-east-1:123456789012:cluster/prod",
		})
		ids = append(ids, fmt.Sprint(b.ID, "-", i))
	}
	require.NoError(f.t, f.events.Record(f.t.Context(), &b))
	return ids
}

// busIDs returns the ids of the events on the bus.
func (f *fixture) busIDs() (ids []string) {
	f.t.Helper()
	received, err := f.sim.BusEvents("default")
	require.NoError(f.t, err)
	for _, e := range received {
		var detail struct{ ID string }
		require.NoError(f.t, json.Unmarshal(e.Detail, &detail))
		ids = append(ids, detail.ID)
	}
	return ids
}

func (f *fixture) counter(sink, outcome string) float64 {
	f.t.Helper()
	families, err := f.registry.Gather()
	require.NoError(f.t, err)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if family.GetName() == "blox_ds_event_deliveries_total" && labels["sink"] == sink && labels["outcome"] == outcome {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func (f *fixture) lag() float64 {
	f.t.Helper()
	families, err := f.registry.Gather()
	require.NoError(f.t, err)
	for _, family := range families {
		if family.GetName() == "blox_ds_event_delivery_lag_seconds" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

// receiver is a webhook.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	respond  func(w http.ResponseWriter, r *http.Request)
	requests []received
}

type received struct {
	id, timestamp, signature string
	body                     string
	accepted                 bool
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// answer sets the response; nil for 200.
func (r *receiver) answer(respond func(http.ResponseWriter, *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.respond = respond
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// accepted returns the ids of the events of accepted requests.
func (r *receiver) accepted(t *testing.T) (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, request := range r.requests {
		if request.accepted {
			var body struct{ ID string }
			require.NoError(t, json.Unmarshal([]byte(request.body), &body))
			ids = append(ids, body.ID)
		}
	}
	return ids
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received{}, r.requests...)
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	respond := r.respond
	r.mu.Unlock()
	if respond == nil {
		respond = status(http.StatusNoContent)
	}
	recorder := httptest.NewRecorder()
	respond(recorder, request)
	r.mu.Lock()
	r.requests = append(r.requests, received{
		request.Header.Get("Webhook-Id"), request.Header.Get("Webhook-Timestamp"),
		request.Header.Get("Webhook-Signature"), string(body), recorder.Code < 300,
	})
	r.mu.Unlock()
	for name, values := range recorder.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(recorder.Code)
}
