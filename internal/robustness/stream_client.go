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
	"strconv"
	"sync"
	"time"
)

// streamClient follows one kind by list and stream, at one replica and then the other, as the API says that one may: it
// resumes with the last version that it was told, and lists again only when it is told to.
type streamClient struct {
	*world
	kind  string // tasks or instances
	first int    // the replica it begins with
	loyal bool   // it knows no other: after a restart there it asks for what was before

	mu       sync.Mutex
	segments []*segment
}

// segment is what a client was told from one list to the next.
type segment struct {
	from, to int64            // every change after from, up to and including to, was told
	listed   map[string]int64 // version by ARN
	held     map[string]int64 // the newest version by ARN, of deletions too
	told     map[string][]change
}

const (
	streamHeartbeat = time.Second
	streamSilence   = 5 * time.Second // after which a connection is given up
)

var errStream = errors.New("the stream is out of range")

// run follows until ctx ends.
func (s *streamClient) run(ctx context.Context) {
	listing := true
	for replica := s.first; ctx.Err() == nil; {
		address := s.css[replica%len(s.css)]
		if listing {
			listing = s.list(ctx, address) != nil
		}
		if !listing {
			listing = errors.Is(s.stream(ctx, address), errStream)
		}
		sleep(ctx, 200*time.Millisecond)
		if !s.loyal {
			replica++
		}
	}
}

func (s *streamClient) list(ctx context.Context, address string) error {
	status, text, err := s.get(ctx, address, "/v1/"+s.kind)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("%d: %w", status, err)
	}
	var list shownTasks
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	g := &segment{listed: map[string]int64{}, told: map[string][]change{}}
	g.from, _ = strconv.ParseInt(list.Metadata.EntityVersion, 10, 64)
	g.to = g.from
	for _, item := range list.Items {
		version, _ := strconv.ParseInt(item.Metadata.EntityVersion, 10, 64)
		g.listed[s.arn(item)] = version
	}
	g.held = maps.Clone(g.listed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments, g)
	s.report.count("stream clients: lists", 1)
	return nil
}

func (s *streamClient) arn(item shownTask) string {
	if s.kind == "tasks" {
		return item.Entity.TaskARN
	}
	return item.Entity.ContainerInstanceARN
}

func (s *streamClient) stream(ctx context.Context, address string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silent := time.AfterFunc(streamSilence, cancel)
	defer silent.Stop()
	s.mu.Lock()
	g := s.segments[len(s.segments)-1]
	version := g.to
	s.mu.Unlock()
	path := fmt.Sprintf("http://%s/v1/stream/%s?entityVersion=%d&deleted=true&heartbeat=%d", address, s.kind, version, streamHeartbeat/time.Second)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	answer, err := s.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusBadRequest:
		return errStream
	default:
		return fmt.Errorf("%d", answer.StatusCode)
	}
	s.report.count("stream clients: streams", 1)
	lines := bufio.NewReader(answer.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // what is left of a line says nothing
			return err
		}
		silent.Reset(streamSilence)
		var item shownTask
		if err := json.Unmarshal(line, &item); err != nil {
			s.report.violated("streams are lines of JSON", "%s: %s: %.200q", s.kind, err, line)
			return errStream
		}
		if item.Error != "" {
			s.report.count("stream clients: last words", 1)
			return io.EOF
		}
		s.take(g, item)
	}
}

// take notes a line: lines that are not newer than what is held of their entity, or of the list, are to be ignored.
func (s *streamClient) take(g *segment, item shownTask) {
	version, _ := strconv.ParseInt(item.Metadata.EntityVersion, 10, 64)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { g.to = max(g.to, version) }()
	arn := s.arn(item)
	if arn == "" || version <= max(g.from, g.held[arn]) { // the list has shown it
		return
	}
	g.held[arn] = version
	g.told[arn] = append(g.told[arn], change{revision: version, deleted: item.Metadata.Deleted})
	s.report.count("stream clients: changes", 1)
}

// check compares what the client was told with all that was done to etcd, of which wrote knows since the revision began.
func (s *streamClient) check(wrote map[string][]change, began int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	prefix := "ecs/" + s.kind[:len(s.kind)-1] + "/"
	known := map[string]bool{}
	for key := range wrote {
		arn, _ := entityOf(key)
		known[arn] = true
	}
	for n, g := range s.segments {
		if g.from < began {
			continue
		}
		// One transaction gives many lines one version, so of the last one some may be missing: it is told again when the
		// stream is resumed.
		last := g.to - 1
		name := fmt.Sprintf("%s, client %d (loyal: %t), list %d", s.kind, s.first, s.loyal, n)
		for key, changes := range wrote {
			arn, _ := entityOf(key)
			if len(key) < len(prefix) || key[:len(prefix)] != prefix {
				continue
			}
			var want []change
			var held int64
			for _, c := range changes {
				if c.revision <= g.from && c.deleted {
					held = 0
				} else if c.revision <= g.from {
					held = c.revision
				} else if c.revision <= last {
					want = append(want, change{revision: c.revision, deleted: c.deleted})
				}
			}
			if g.listed[arn] != held {
				s.report.violated("a list is etcd's state", "%s: of version %d it has %s at %d, and etcd had it at %d", name, g.from, key, g.listed[arn], held)
			}
			got := slices.DeleteFunc(slices.Clone(g.told[arn]), func(c change) bool { return c.revision > last })
			if !slices.Equal(want, got) {
				s.report.violated("streams miss nothing and repeat nothing", "%s: %s from %d to %d: told %v, written %v", name, key, g.from, last, got, want)
			}
		}
		for arn := range g.told {
			if !known[arn] {
				s.report.violated("streams tell what was written", "%s: %s was told, and never written", name, arn)
			}
		}
	}
}
