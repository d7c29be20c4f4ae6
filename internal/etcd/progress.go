package etcd

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/mod/semver"
)

// markerKey is what Progress.Announce writes where progress notifications cannot be trusted. Its value is empty.
const markerKey = "ecs/marker"

const (
	versionInterval = time.Minute     // between two reads of the members' versions
	versionTimeout  = 5 * time.Second // also limits one write of the marker
)

// Progress makes etcd announce to a watch of "ecs/" the revision that it has reached, although no watched key changes.
// Some versions of etcd send progress notifications before events that they cover. While any member may have such a
// version, Announce writes a marker, whose event follows all earlier ones.
type Progress struct {
	client *clientv3.Client
	log    logrus.FieldLogger
	// ordered reports that progress notifications follow the events that they cover; false until all versions are known.
	ordered atomic.Bool
}

// NewProgress returns a Progress of the client's etcd. It uses markers until Run knows the members' versions.
func NewProgress(client *clientv3.Client, log logrus.FieldLogger) *Progress {
	return &Progress{client: client, log: log}
}

// Run reads the versions of etcd's members each minute, until ctx ends.
func (p *Progress) Run(ctx context.Context) {
	ticker := time.NewTicker(versionInterval)
	defer ticker.Stop()
	for known := map[string]string{}; ctx.Err() == nil; {
		p.refresh(ctx, known)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// Ordered reports whether progress notifications follow the events that they cover.
func (p *Progress) Ordered() bool { return p.ordered.Load() }

// Announce makes etcd send a response at the given revision or later to the watches of client on ctx's stream. Etcd may
// ignore the request while the watch lags, so the caller repeats it until the response arrives.
func (p *Progress) Announce(ctx context.Context, client *clientv3.Client, revision int64) error {
	if p.Ordered() {
		return client.RequestProgress(ctx)
	}
	return p.mark(ctx, revision)
}

// mark writes the marker unless it has been written at the revision or later: all readers and replicas share one write.
func (p *Progress) mark(ctx context.Context, revision int64) error {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	_, err := p.client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(markerKey), "<", revision)).
		Then(clientv3.OpPut(markerKey, "")).Commit()
	if err != nil {
		return fmt.Errorf("write %s: %w", markerKey, err)
	}
	return nil
}

// refresh updates known, the versions by endpoint. A member that does not respond keeps its latest version.
func (p *Progress) refresh(ctx context.Context, known map[string]string) {
	endpoints := p.client.Endpoints()
	versions := make([]string, len(endpoints))
	var reading sync.WaitGroup
	for n, endpoint := range endpoints {
		reading.Go(func() { versions[n] = p.readVersion(ctx, endpoint) })
	}
	reading.Wait()
	ordered := true
	for n, endpoint := range endpoints {
		if versions[n] != "" && versions[n] != known[endpoint] {
			known[endpoint] = versions[n]
			p.logVersion(endpoint, versions[n])
		}
		ordered = ordered && progressIsOrdered(known[endpoint])
	}
	p.ordered.Store(ordered)
}

// readVersion returns "" if the member does not respond.
func (p *Progress) readVersion(ctx context.Context, endpoint string) string {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	status, err := p.client.Status(ctx, endpoint)
	if err != nil {
		return ""
	}
	return status.Version
}

func (p *Progress) logVersion(endpoint, version string) {
	log := p.log.WithFields(logrus.Fields{"endpoint": endpoint, "etcd": version})
	if !progressIsOrdered(version) {
		log.Warn("progress notifications of this etcd version can precede events; writing markers instead, " +
			"upgrade to 3.4.25, 3.5.8 or later")
	}
}

// progressIsOrdered reports whether a version of etcd sends progress notifications after the events that they cover.
// etcd fixed this in 3.4.25 and 3.5.8. An unknown version may be an older one. Source: etcd's changelogs, "watch".
func progressIsOrdered(version string) bool {
	version = "v" + version
	return semver.Compare(version, "v3.4.25") >= 0 &&
		(semver.Compare(version, "v3.5.0-0") < 0 || semver.Compare(version, "v3.5.8") >= 0)
}
