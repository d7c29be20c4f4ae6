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

	"github.com/blox/blox/internal/redact"
)

const (
	slowest = 10 * time.Second // between two attempts
	longest = 4 << 20          // bytes of a line
)

// errRelist ends a stream that cannot be resumed.
var errRelist = errors.New("listing again")

// follower keeps the copy of one kind up to date. It belongs to one goroutine.
type follower[R any] struct {
	*Informer
	path     string // below /v1/ and /v1/stream/
	copy     *records[R]
	endpoint int   // the one in use
	version  int64 // the stream is resumed with it; 0 when the copy must be listed first
	failures int   // in a row
}

// follow lists and streams a kind until ctx ends, and then returns nil.
func follow[R any](ctx context.Context, m *Informer, path string, copy *records[R]) error {
	f := &follower[R]{Informer: m, path: path, copy: copy}
	for {
		err := f.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wait := f.wait(err)
		f.log.WithError(err).WithFields(logrus.Fields{"endpoint": redact.URL(f.base()), "kind": string(copy.kind), "wait": wait}).
			Warn("not following the cluster-state-service")
		if errors.Is(err, errRelist) {
			f.version = 0
		}
		f.failures++
		f.endpoint++
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (f *follower[R]) base() string { return f.endpoints[f.endpoint%len(f.endpoints)] }

// wait is how long to wait after err: longer each time that all endpoints have failed, up to slowest; by chance up to half
// less, as many may follow one CSS; and at least as long as the CSS asks for.
func (f *follower[R]) wait(err error) time.Duration {
	wait := min(f.backoff<<min(f.failures/len(f.endpoints), 10), slowest)
	wait -= rand.N(wait/2 + 1)
	var refused *refusal
	if errors.As(err, &refused) && refused.retryAfter > 0 {
		asked := min(refused.retryAfter, slowest)
		wait = max(wait, asked+rand.N(asked/2))
	}
	return wait
}

// once lists unless what there is can be resumed, and then streams. It returns why that has ended.
func (f *follower[R]) once(ctx context.Context) error {
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
	asked := time.Now() // the answer is not older
	answer, err := f.get(ctx, f.base()+"/v1/"+f.path)
	if err != nil {
		return err
	}
	defer answer.Close()
	list, version, err := decodeList(answer, f.copy.read, f.leaveOut)
	if err != nil {
		return err
	}
	changes := f.copy.replace(list, asked)
	f.version = version
	f.listeners.tell(changes...)
	f.log.WithFields(logrus.Fields{"endpoint": redact.URL(f.base()), "kind": string(f.copy.kind), "records": len(list), "changes": len(changes)}).
		Info("listed the cluster-state-service")
	return nil
}

// stream follows changes until the stream ends, which is always an error.
func (f *follower[R]) stream(ctx context.Context) error {
	query := url.Values{
		"entityVersion": {strconv.FormatInt(f.version, 10)},
		"deleted":       {"true"},
		"heartbeat":     {strconv.Itoa(int(f.heartbeat / time.Second))},
	}
	answer, err := f.get(ctx, f.base()+"/v1/stream/"+f.path+"?"+query.Encode())
	if err != nil {
		var refused *refusal
		if errors.As(err, &refused) && refused.status == http.StatusBadRequest { // the version is out of range
			return fmt.Errorf("%w: %w", err, errRelist)
		}
		return err
	}
	defer answer.Close()
	lines := bufio.NewScanner(answer)
	lines.Buffer(nil, longest)
	lines.Split(wholeLines)
	for lines.Scan() {
		if err := f.line(lines.Bytes()); err != nil {
			return fmt.Errorf("%w: %w", err, errRelist)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong): // and would be again
		return fmt.Errorf("%w: %w", err, errRelist)
	case err != nil:
		return err
	}
	return io.EOF
}

// wholeLines is bufio.ScanLines, but for a last line that a broken connection has cut: the next stream tells it again.
func wholeLines(data []byte, _ bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		return end + 1, data[:end], nil
	}
	return 0, nil, nil
}

// line takes one line of a stream over: a change, a heartbeat, or the word that the stream cannot go on.
func (f *follower[R]) line(line []byte) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	value := new(R)
	err := json.Unmarshal(line, value)
	if err != nil && !isOdd(err) {
		return err
	}
	r, wrong := f.copy.read(value)
	if err = errors.Join(err, wrong); err != nil && (r.arn == "" || r.version == 0) {
		return err // whatever it was about, a list shows
	}
	if err != nil {
		f.leaveOut(r, err)
		f.version = max(f.version, r.version)
		return nil
	}
	if r.arn == "" {
		var last struct{ Error string }
		if err := json.Unmarshal(line, &last); err != nil || last.Error != "" {
			return errors.Join(err, errors.New(last.Error))
		}
		// A heartbeat comes when everything before it has been sent.
		f.copy.confirm(time.Now())
		f.failures = 0
	} else if change, is := f.copy.apply(r); is {
		f.listeners.tell(change)
		f.failures = 0
	}
	f.version = max(f.version, r.version)
	return nil
}

// leaveOut does without an odd record, of which r is what could be read.
func (f *follower[R]) leaveOut(r *record[R], err error) {
	f.log.WithError(err).WithFields(logrus.Fields{
		"endpoint": redact.URL(f.base()), "kind": string(f.copy.kind), "arn": r.arn, "version": r.version,
	}).Error("an odd record is left out")
	if change, is := f.copy.leaveOut(r); is {
		f.listeners.tell(change)
	}
}
