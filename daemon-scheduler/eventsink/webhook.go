package eventsink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/redact"
	"github.com/blox/blox/internal/version"
)

const (
	webhookTimeout   = 10 * time.Second // of one request
	webhookBatch     = 20               // requests that are sent before the position is stored
	maxWebhookBody   = 64 << 10         // bytes of a response that are read, to reuse the connection
	maxRedirects     = 3
	maxRetryAfter    = 5 * time.Minute
	minSecret        = 16 // bytes
	base64SecretMark = "whsec_"
)

// Webhook is the receiver of POST requests, one for each event.
type Webhook struct {
	URL        string
	SecretFile string // path of the key of the signatures; empty: requests have no signature
}

// validate returns an error if the URL is invalid or the secret cannot be read.
func (w Webhook) validate() error {
	if w.URL == "" {
		if w.SecretFile != "" {
			return errors.New("--event-webhook-secret-file: --event-webhook is missing")
		}
		return nil
	}
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("--event-webhook %q: not a URL such as https://example.com/blox", redact.URL(w.URL))
	}
	if w.SecretFile != "" {
		if _, err := w.secret(); err != nil {
			return fmt.Errorf("--event-webhook-secret-file: %w", err)
		}
	}
	return nil
}

// secret reads the key of the signatures, in the two forms of the Standard Webhooks specification: base64 after whsec_,
// or bytes.
func (w Webhook) secret() ([]byte, error) {
	text, err := os.ReadFile(w.SecretFile)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSpace(text)
	if encoded, ok := bytes.CutPrefix(text, []byte(base64SecretMark)); ok {
		if text, err = base64.StdEncoding.DecodeString(string(encoded)); err != nil {
			return nil, fmt.Errorf("%s: not base64 after %s", w.SecretFile, base64SecretMark)
		}
	}
	if len(text) < minSecret {
		return nil, fmt.Errorf("%s: a secret of %d bytes; at least %d are needed", w.SecretFile, len(text), minSecret)
	}
	return text, nil
}

type webhook struct {
	Webhook
	client *http.Client
	// notBefore is until when the receiver wants no further request.
	notBefore time.Time
}

func newWebhook(w Webhook) *webhook {
	transport := http.DefaultTransport.(*http.Transport).Clone() // with the proxies of the environment
	return &webhook{Webhook: w, client: &http.Client{Transport: transport, CheckRedirect: checkRedirect}}
}

// checkRedirect follows redirects on the same host that keep the method and the body. The signed event goes nowhere
// else.
func checkRedirect(next *http.Request, earlier []*http.Request) error {
	first := earlier[0]
	same := next.URL.Scheme == first.URL.Scheme && next.URL.Host == first.URL.Host
	if !same || next.Method != http.MethodPost || len(earlier) > maxRedirects {
		return http.ErrUseLastResponse
	}
	return nil
}

func (*webhook) name() string   { return "webhook" }
func (*webhook) batchSize() int { return webhookBatch }

// send implements sink. It sends the messages one after the other. After one that fails, the others wait.
func (w *webhook) send(ctx context.Context, messages []message) map[int]error {
	failed := map[int]error{}
	for n, m := range messages {
		err := w.post(ctx, m)
		if err == nil {
			continue
		}
		failed[n] = err
		if errors.Is(err, errRejected) {
			continue
		}
		for rest := n + 1; rest < len(messages); rest++ {
			failed[rest] = err
		}
		break
	}
	return failed
}

func (w *webhook) post(ctx context.Context, m message) error {
	if !backoff.Sleep(ctx, time.Until(w.notBefore)) {
		return fmt.Errorf("the receiver wants no request before %s", w.notBefore.UTC().Format(time.RFC3339))
	}
	ctx, cancel := context.WithTimeout(ctx, webhookTimeout)
	defer cancel()
	body := bytes.TrimSpace(m.body)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Blox/"+version.Version)
	if err := w.sign(request.Header, m.id(), body, time.Now()); err != nil {
		return err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxWebhookBody))
	return w.assess(response)
}

// sign sets the headers of the Standard Webhooks specification.
func (w *webhook) sign(header http.Header, id string, body []byte, now time.Time) error {
	at := strconv.FormatInt(now.Unix(), 10)
	header.Set("Webhook-Id", id)
	header.Set("Webhook-Timestamp", at)
	if w.SecretFile == "" {
		return nil
	}
	secret, err := w.secret() // the file may have changed
	if err != nil {
		return fmt.Errorf("read the secret: %w", err)
	}
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return nil
}

// eventRejections are the statuses by which a receiver rejects an event. Other errors, such as 401 and 404, are about
// the webhook and not about the event: they end when an operator corrects them.
var eventRejections = []int{
	http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity,
}

func (w *webhook) assess(response *http.Response) error {
	status := response.StatusCode
	switch {
	case status >= 200 && status < 300:
		return nil
	case slices.Contains(eventRejections, status):
		return fmt.Errorf("%w: status %s", errRejected, response.Status)
	case status >= 300 && status < 400:
		return fmt.Errorf("status %s: a redirect to another host or method is not followed", response.Status)
	}
	if wait := retryAfter(response.Header.Get("Retry-After")); wait > 0 {
		w.notBefore = time.Now().Add(wait)
	}
	return fmt.Errorf("status %s", response.Status)
}

// retryAfter reads the header in seconds; 0 if it has none.
func retryAfter(value string) time.Duration {
	seconds, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxRetryAfter)
}

// withoutURL removes the URL, which may hold a password, from an error of http.Client.
func withoutURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}
