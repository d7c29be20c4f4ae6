package informer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/blox/blox/internal/backoff"
	"github.com/blox/blox/internal/logging"
	"github.com/blox/blox/internal/redact"
)

const (
	firstRetryDelay = 100 * time.Millisecond
	maxRetryDelay   = 10 * time.Second
	maxLineBytes    = 4 << 20
)

// errRelist marks a stream that cannot be resumed.
var errRelist = errors.New("listing again")

// follower keeps the copy of one kind current. It belongs to one goroutine.
type follower[R any] struct {
	*Informer
	path     string // below /v1/ and /v1/stream/
	records  *records[R]
	endpoint int   // index of the endpoint in use
	version  int64 // version to resume the stream with; 0 if the kind must be listed first
	failures int   // in a row
	auditAt  time.Time
	failed   *logging.FailureLog
}

func newFollower[R any](m *Informer, path string, records *records[R]) *follower[R] {
	return &follower[R]{
		Informer: m, path: path, records: records, auditAt: nextAudit(m.auditInterval),
		failed: logging.NewFailureLog(m.log.WithField("kind", string(records.kind)),
			"failed to follow the cluster-state-service; retrying", "resumed following the cluster-state-service"),
	}
}

// follow lists and streams a kind until ctx is cancelled, and then returns nil.
func follow[R any](ctx context.Context, m *Informer, path string, records *records[R]) error {
	f := newFollower(m, path, records)
	for {
		err := f.listAndStream(ctx)
		if ctx.Err() != nil {
			return nil
		}
		f.records.tooOld.Store(errors.Is(err, errTooOld))
		delay := f.retryDelay(err)
		f.failed.Failed(fmt.Errorf("%s: %w", redact.URL(f.base()), err))
		if errors.Is(err, errRelist) {
			f.version = 0
		}
		f.failures++
		f.endpoint++
		backoff.Sleep(ctx, delay)
	}
}

func (f *follower[R]) base() string { return f.endpoints[f.endpoint%len(f.endpoints)] }

// retryDelay returns the delay after err. It doubles whenever all endpoints have failed. Jitter spreads the informers
// that follow one CSS. The delay is at least the Retry-After of the CSS.
func (f *follower[R]) retryDelay(err error) time.Duration {
	rounds := f.failures/len(f.endpoints) + 1
	delay := backoff.Jitter(backoff.Delay(f.minDelay, maxRetryDelay, rounds))
	var response *statusError
	if errors.As(err, &response) && response.retryAfter > 0 {
		requested := min(response.retryAfter, maxRetryDelay)
		delay = max(delay, requested+rand.N(requested/2))
	}
	return delay
}

// listAndStream lists, unless the stream can be resumed, and then streams. It returns the error that ended the stream.
func (f *follower[R]) listAndStream(ctx context.Context) error {
	if f.version == 0 {
		if err := f.list(ctx); err != nil {
			return fmt.Errorf("list %s: %w", f.path, err)
		}
	}
	if err := f.stream(ctx); err != nil {
		return fmt.Errorf("stream %s from version %d: %w", f.path, f.version, err)
	}
	return nil
}

func (f *follower[R]) list(ctx context.Context) error {
	requestedAt := time.Now() // the response is at least as recent
	f.records.resetAudit()
	body, err := f.get(ctx, f.base()+"/v1/"+f.path)
	if err != nil {
		return err
	}
	defer body.Close()
	list, metadata, err := decodeList(body, f.records.decoded, f.skip)
	if err != nil {
		return err
	}
	f.records.tooOld.Store(false)
	changes := f.records.replace(list, requestedAt, metadata.notReconciled)
	f.version = metadata.version
	f.subscribers.notify(changes...)
	f.log.WithFields(logrus.Fields{
		"endpoint": redact.URL(f.base()), "kind": string(f.records.kind), "records": len(list), "changes": len(changes),
	}).Info("listed the cluster-state-service")
	return nil
}

// stream applies changes until the stream ends. It always returns an error.
func (f *follower[R]) stream(ctx context.Context) error {
	query := url.Values{
		"entityVersion": {strconv.FormatInt(f.version, 10)},
		"deleted":       {"true"},
		"heartbeat":     {strconv.Itoa(int(f.heartbeat / time.Second))},
	}
	body, err := f.get(ctx, f.base()+"/v1/stream/"+f.path+"?"+query.Encode())
	if err != nil {
		var response *statusError
		if errors.As(err, &response) && response.status == http.StatusBadRequest { // the version is out of range
			return fmt.Errorf("%w: %w", err, errRelist)
		}
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLineBytes)
	lines.Split(wholeLines)
	for lines.Scan() {
		if err := f.applyLine(lines.Bytes()); err != nil {
			return fmt.Errorf("%w: %w", err, errRelist)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong): // a resumed stream would fail at the same line
		return fmt.Errorf("%w: %w", err, errRelist)
	case err != nil:
		return err
	}
	return io.EOF
}

// wholeLines is bufio.ScanLines without a last incomplete line: the resumed stream repeats it.
func wholeLines(data []byte, _ bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		return end + 1, data[:end], nil
	}
	return 0, nil, nil
}

// applyLine handles one line of a stream: a change, a heartbeat or an error.
func (f *follower[R]) applyLine(line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	value := new(R)
	err := json.Unmarshal(line, value)
	if err != nil && !isMalformed(err) {
		return err
	}
	r, invalid := f.records.decoded(value)
	if err = errors.Join(err, invalid); err != nil && (r.arn == "" || r.version == 0) {
		return err // the record is unknown, so only a list can repair the copy
	}
	if err != nil {
		f.skip(r, err)
		f.version = max(f.version, r.version)
		return nil
	}
	if r.arn == "" {
		var last struct{ Error string }
		if err := json.Unmarshal(line, &last); err != nil || last.Error != "" {
			return errors.Join(err, errors.New(last.Error))
		}
		// The CSS sends a heartbeat after all changes before it.
		f.subscribers.notify(f.records.setNotReconciled(r.notReconciled)...)
		if err := f.compare(r.digest); err != nil {
			return err
		}
		f.records.confirm(time.Now())
		f.succeeded()
	} else if change, changed := f.records.apply(r); changed {
		f.subscribers.notify(change)
		f.succeeded()
	}
	f.version = max(f.version, r.version)
	return nil
}

func (f *follower[R]) succeeded() {
	f.failures = 0
	f.failed.Succeeded()
}

// skip logs and counts a malformed record. r holds the fields that could be read.
func (f *follower[R]) skip(r *record[R], err error) {
	f.log.WithError(err).WithFields(logrus.Fields{
		"endpoint": redact.URL(f.base()), "kind": string(f.records.kind), "arn": r.arn, "version": r.version,
	}).Error("malformed record skipped")
	if change, changed := f.records.skip(r); changed {
		f.subscribers.notify(change)
	}
}
