package eventsink

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/blox/blox/internal/testenv"
)

func (f *fixture) toWebhook() Options {
	return Options{Webhook: Webhook{URL: f.receiver.URL + "/blox"}}
}

func writeSecret(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// signature is the one of the Standard Webhooks specification.
func signature(secret []byte, r received) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(r.id + "." + r.timestamp + "." + r.body))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestWebhook_ReceivesSignedEventsInOrder(t *testing.T) {
	f := newFixture(t)
	file := filepath.Join(t.TempDir(), "secret")
	secret := []byte("0123456789abcdef")
	writeSecret(t, file, string(secret)+"\n")
	options := f.toWebhook()
	options.Webhook.SecretFile = file
	f.lead(options)
	want := f.record(3)
	testenv.Eventually(t, func() bool { return len(f.receiver.accepted(t)) == len(want) })
	assert.Equal(t, want, f.receiver.accepted(t))
	ids := map[string]bool{}
	for _, r := range f.receiver.all() {
		ids[r.id] = true
		assert.Equal(t, signature(secret, r), r.signature)
	}
	assert.Len(t, ids, 3)

	// A new secret is used without a restart.
	renewed := []byte("another secret of bytes")
	writeSecret(t, file, "whsec_"+base64.StdEncoding.EncodeToString(renewed))
	f.record(1)
	testenv.Eventually(t, func() bool { return len(f.receiver.accepted(t)) == 4 })
	last := f.receiver.all()[3]
	assert.Equal(t, signature(renewed, last), last.signature)
}

// While the webhook fails, events wait. Each attempt has the same id.
func TestWebhook_RetriesUntilItResponds(t *testing.T) {
	for name, code := range map[string]int{
		"an outage": http.StatusServiceUnavailable, "too many requests": http.StatusTooManyRequests,
		"a wrong path": http.StatusNotFound, "a wrong secret": http.StatusUnauthorized, "a timeout": http.StatusRequestTimeout,
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.receiver.answer(status(code))
			f.lead(f.toWebhook())
			want := f.record(3)
			testenv.Eventually(t, func() bool { return len(f.receiver.all()) >= 2 && f.lag() > 0 })
			f.receiver.answer(nil)
			testenv.Eventually(t, func() bool { return len(f.receiver.accepted(t)) == len(want) })
			assert.Equal(t, want, f.receiver.accepted(t))
			all := f.receiver.all()
			assert.Equal(t, all[0].id, all[1].id)
			assert.Zero(t, f.counter("webhook", outcomeRejected))
		})
	}
}

func TestWebhook_DropsRejectedEvents(t *testing.T) {
	f := newFixture(t)
	f.lead(f.toWebhook())
	f.receiver.answer(status(http.StatusUnprocessableEntity))
	f.record(1)
	testenv.Eventually(t, func() bool { return f.counter("webhook", outcomeRejected) == 1 })
	f.receiver.answer(nil)
	want := f.record(1)
	testenv.Eventually(t, func() bool { return len(f.receiver.accepted(t)) == 1 })
	assert.Equal(t, want, f.receiver.accepted(t))
}

func TestWebhook_RespectsRetryAfter(t *testing.T) {
	f := newFixture(t)
	f.receiver.answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "4")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	f.lead(f.toWebhook())
	f.record(1)
	testenv.Eventually(t, func() bool { return len(f.receiver.all()) == 1 })
	refused := time.Now()
	f.receiver.answer(nil)
	testenv.Eventually(t, func() bool { return len(f.receiver.accepted(t)) == 1 })
	assert.GreaterOrEqual(t, time.Since(refused), 3500*time.Millisecond)
}

// A redirect must not take signed events to another host, nor lose their body.
func TestWebhook_FollowsRedirectsOnItsHostOnly(t *testing.T) {
	f := newFixture(t)
	other := newReceiver(t)
	redirect := func(to string, code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				w.WriteHeader(http.StatusOK)
				return
			}
			w.Header().Set("Location", to)
			w.WriteHeader(code)
		}
	}
	f.receiver.answer(redirect(other.URL+"/blox", http.StatusTemporaryRedirect))
	f.lead(f.toWebhook())
	want := f.record(1)
	testenv.Eventually(t, func() bool { return f.counter("webhook", outcomeFailed) > 0 })
	f.receiver.answer(redirect("/moved", http.StatusFound)) // makes it a GET
	before := f.counter("webhook", outcomeFailed)
	testenv.Eventually(t, func() bool { return f.counter("webhook", outcomeFailed) > before })
	assert.Empty(t, other.all())
	f.receiver.answer(redirect("/moved", http.StatusPermanentRedirect))
	testenv.Eventually(t, func() bool { return len(f.receiver.accepted(t)) == 1 })
	assert.Equal(t, want, f.receiver.accepted(t))
}

// The webhook is down while the leader changes. The other sink does not wait for it.
func TestWebhook_NextLeaderContinues(t *testing.T) {
	f := newFixture(t)
	both := f.toWebhook()
	both.EventBus = "default"
	stop := f.lead(both)
	want := f.record(2)
	testenv.Eventually(t, func() bool { return f.counter("webhook", outcomeDelivered) == 2 })
	f.receiver.answer(status(http.StatusBadGateway))
	want = append(want, f.record(2)...)
	testenv.Eventually(t, func() bool { return f.counter("webhook", outcomeFailed) > 0 })
	testenv.Eventually(t, func() bool { return f.counter("eventbridge", outcomeDelivered) == 4 })
	stop()
	want = append(want, f.record(1)...)
	f.lead(both)
	f.receiver.answer(nil)
	testenv.Eventually(t, func() bool { return len(f.receiver.accepted(t)) >= len(want) })
	assert.Equal(t, want, f.receiver.accepted(t))
	testenv.Eventually(t, func() bool { return len(f.busIDs()) >= len(want) })
	assert.Equal(t, want, f.busIDs())
}

func TestOptions_Validate(t *testing.T) {
	dir := t.TempDir()
	secret, short, broken := filepath.Join(dir, "secret"), filepath.Join(dir, "short"), filepath.Join(dir, "broken")
	writeSecret(t, secret, "0123456789abcdef")
	writeSecret(t, short, "0123")
	writeSecret(t, broken, "whsec_!")
	webhook := func(url, file string) Options { return Options{Webhook: Webhook{url, file}} }
	for name, tc := range map[string]struct {
		options Options
		problem string
	}{
		"nothing":   {Options{}, ""},
		"the name":  {Options{EventBus: "audit/1.x_y-z"}, ""},
		"the ARN":   {Options{EventBus: "arn:aws:events:us-east-1:123456789012:event-bus/audit"}, ""},
		"a space":   {Options{EventBus: "a b"}, `--event-bus "a b": neither the name nor the ARN of an event bus`},
		"an ARN":    {Options{EventBus: "arn:aws:sns:us-east-1:123456789012:x"}, "neither the name nor the ARN"},
		"a URL":     {webhook("https://example.com/blox", secret), ""},
		"no scheme": {webhook("example.com", ""), `--event-webhook "example.com": not a URL such as https://example.com/blox`},
		"a password in the URL": {
			webhook("ftp://user:password@example.com", ""), `--event-webhook "ftp://`,
		},
		"no URL":           {webhook("", secret), "--event-webhook-secret-file: --event-webhook is missing"},
		"no file":          {webhook("http://x", dir+"/none"), "no such file"},
		"a short secret":   {webhook("http://x", short), "a secret of 4 bytes; at least 16 are needed"},
		"a broken secret":  {webhook("http://x", broken), "not base64 after whsec_"},
		"a secret of bits": {webhook("http://x", secret), ""},
	} {
		t.Run(name, func(t *testing.T) {
			problems := tc.options.Validate()
			if tc.problem == "" {
				assert.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0], tc.problem)
			assert.NotContains(t, problems[0], "password")
		})
	}
	away := Options{EventBus: "arn:aws:events:eu-west-1:123456789012:event-bus/audit"}
	assert.ErrorContains(t, away.CheckRegion("us-east-1"), "the event bus must be in the region us-east-1")
	assert.NoError(t, away.CheckRegion("eu-west-1"))
}

func TestRetryAfter_IsBounded(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-1": 0, "x": 0, "86400": maxRetryAfter, "Wed, 21 Oct 2026 07:28:00 GMT": 0,
	} {
		assert.Equal(t, want, retryAfter(value), value)
	}
}
