package robustness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	streamHeartbeat    = time.Second
	streamIdleTimeout  = 5 * time.Second
	streamRetryTimeout = 200 * time.Millisecond
)

var errOutOfRange = errors.New("stream version out of range")

// streamClient copies one kind of records with list and stream. It resumes with the last version that it received,
// and lists again only if the service rejects that version.
type streamClient struct {
	*system
	kind          string // tasks or instances
	replica       int    // index of the replica that it uses first
	singleReplica bool   // resumes at the same replica, also after a restart; others alternate

	mu       sync.Mutex
	segments []*segment // since the latest checkCompleted
	checked  int        // segments before them
}

// segment is what a client received from one list to the next.
type segment struct {
	from, to int64               // the client received every change after from, up to and including to
	listed   map[string]int64    // version by ARN
	newest   map[string]int64    // newest version by ARN, including deletions
	received map[string][]change // by ARN
}

// run lists and streams until ctx ends.
func (s *streamClient) run(ctx context.Context) {
	mustList := true
	for replica := s.replica; ctx.Err() == nil; {
		address := s.css[replica%len(s.css)]
		if mustList {
			mustList = s.list(ctx, address) != nil
		}
		if !mustList {
			mustList = errors.Is(s.stream(ctx, address), errOutOfRange)
		}
		backoff.Sleep(ctx, streamRetryTimeout)
		if !s.singleReplica {
			replica++
		}
	}
}

// list begins a segment.
func (s *streamClient) list(ctx context.Context, address string) error {
	r, err := s.getList(ctx, address, "/v1/"+s.kind)
	if err != nil {
		return err
	}
	if r.status != http.StatusOK {
		return fmt.Errorf("list of %s: %d", s.kind, r.status)
	}
	var list listJSON
	if err := json.Unmarshal(r.body, &list); err != nil {
		return err
	}
	version := parseVersion(list.Metadata.EntityVersion)
	g := &segment{from: version, to: version, listed: map[string]int64{}, received: map[string][]change{}}
	for _, item := range list.Items {
		g.listed[s.arn(item)] = item.version()
	}
	g.newest = maps.Clone(g.listed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments, g)
	s.history.count("stream clients: lists", 1)
	return nil
}

func (s *streamClient) arn(item recordJSON) string {
	if s.kind == "tasks" {
		return item.Entity.TaskARN
	}
	return item.Entity.ContainerInstanceARN
}

// stream continues the latest segment until the stream ends.
func (s *streamClient) stream(ctx context.Context, address string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(streamIdleTimeout, cancel)
	defer idle.Stop()
	s.mu.Lock()
	g := s.segments[len(s.segments)-1]
	version := g.to
	s.mu.Unlock()
	url := fmt.Sprintf("http://%s/v1/stream/%s?entityVersion=%d&deleted=true&heartbeat=%d",
		address, s.kind, version, streamHeartbeat/time.Second)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusBadRequest:
		return errOutOfRange
	default:
		return fmt.Errorf("stream of %s: %d", s.kind, response.StatusCode)
	}
	s.history.count("stream clients: streams", 1)
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // an incomplete line says nothing
			return err
		}
		idle.Reset(streamIdleTimeout)
		var item recordJSON
		if err := json.Unmarshal(line, &item); err != nil {
			s.history.violation("streams are lines of JSON", "%s: %s: %.200q", s.kind, err, line)
			return errOutOfRange
		}
		if item.Error != "" {
			s.history.count("stream clients: error lines", 1)
			return io.EOF
		}
		s.receive(g, item)
	}
}

// receive records a line. Clients ignore lines that are not newer than the list and the entity's latest version.
func (s *streamClient) receive(g *segment, item recordJSON) {
	version := item.version()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { g.to = max(g.to, version) }()
	arn := s.arn(item)
	if arn == "" || version <= max(g.from, g.newest[arn]) {
		return
	}
	g.newest[arn] = version
	g.received[arn] = append(g.received[arn], change{revision: version, deleted: item.Metadata.Deleted})
	s.history.count("stream clients: changes", 1)
}

// receivedVersion returns the version up to which the client has received every change.
func (s *streamClient) receivedVersion() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 {
		return 0
	}
	return s.segments[len(s.segments)-1].to
}

// copy returns the records that the client knows, with their versions, by ARN.
func (s *streamClient) copy() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 {
		return nil
	}
	g := s.segments[len(s.segments)-1]
	versions := maps.Clone(g.newest)
	for arn, changes := range g.received {
		if changes[len(changes)-1].deleted {
			delete(versions, arn)
		}
	}
	return versions
}

// prefix begins the keys of the client's records.
func (s *streamClient) prefix() string { return recordPrefix + strings.TrimSuffix(s.kind, "s") + "/" }

// check compares each segment with the changes in etcd, by key, which are known from firstRevision on.
func (s *streamClient) check(changes map[string][]change, firstRevision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkSegments(s.segments, changes, firstRevision)
}

// checkCompleted checks and drops all segments but the latest, which the client may continue.
func (s *streamClient) checkCompleted(changes map[string][]change, firstRevision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	completed := max(0, len(s.segments)-1)
	s.checkSegments(s.segments[:completed], changes, firstRevision)
	s.segments = slices.Delete(s.segments, 0, completed)
	s.checked += completed
}

func (s *streamClient) checkSegments(segments []*segment, changes map[string][]change, firstRevision int64) {
	known := map[string]bool{}
	for key := range changes {
		arn, _ := entityARN(key)
		known[arn] = true
	}
	for n, g := range segments {
		if g.from < firstRevision {
			continue
		}
		name := fmt.Sprintf("%s, client %d (single replica: %t), list %d", s.kind, s.replica, s.singleReplica,
			s.checked+n)
		for key, written := range changes {
			if strings.HasPrefix(key, s.prefix()) {
				s.checkKey(g, name, key, written)
			}
		}
		for arn := range g.received {
			if !known[arn] {
				s.history.violation("streams contain only written records", "%s: %s was never written", name, arn)
			}
		}
	}
}

// checkKey compares what a client received of one record with the changes in etcd.
func (s *streamClient) checkKey(g *segment, name, key string, written []change) {
	// Several lines can have the version of one transaction, so some of the latest version may be missing. They come
	// again when the client resumes.
	last := g.to - 1
	arn, _ := entityARN(key)
	var want []change
	var listed int64
	for _, c := range written {
		switch {
		case c.revision <= g.from && c.deleted:
			listed = 0
		case c.revision <= g.from:
			listed = c.revision
		case c.revision <= last:
			want = append(want, change{revision: c.revision, deleted: c.deleted})
		}
	}
	if g.listed[arn] != listed {
		s.history.violation("a list equals etcd's state", "%s: of version %d it has %s at %d; etcd had it at %d",
			name, g.from, key, g.listed[arn], listed)
	}
	got := slices.DeleteFunc(slices.Clone(g.received[arn]), func(c change) bool { return c.revision > last })
	if !slices.Equal(want, got) {
		s.history.violation("streams miss nothing and repeat nothing",
			"%s: %s from %d to %d: received %v, written %v", name, key, g.from, last, got, want)
	}
}
