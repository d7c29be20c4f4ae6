package robustness

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/blox/blox/internal/backoff"
)

const (
	badReaders   = 12 // clients of each cluster-state-service that never read a response
	badRequests  = 200
	badReadBytes = 1024 // kernel's receive buffer of such a client
)

// badClients send invalid requests, or do not read the responses. No other client may be affected.
type badClients struct {
	*system
	environments *environmentClient
}

// invalidRequest is a request that has to be rejected with that status.
type invalidRequest struct {
	service, method, path, body string
	status                      int
}

// invalidRequests contain %s in place of an environment's name, and %t in place of its valid token.
var invalidRequests = []invalidRequest{
	{"css", http.MethodGet, "/v1/tasks?colour=red", "", 400},
	{"css", http.MethodGet, "/v1/tasks?status=running&status=stopped", "", 400},
	{"css", http.MethodGet, "/v1/instances?status=sleepy", "", 400},
	{"css", http.MethodGet, "/v1/instances?cluster=a%20b", "", 400},
	{"css", http.MethodGet, "/v1/tasks?limit=0", "", 400},
	{"css", http.MethodGet, "/v1/tasks?nextToken=x&limit=5", "", 400},
	{"css", http.MethodGet, "/v1/tasks/default/nothing", "", 404},
	{"css", http.MethodGet, "/v1/stream/tasks?entityVersion=-1", "", 400},
	{"css", http.MethodGet, "/v1/stream/instances?entityVersion=1&heartbeat=0", "", 400},
	{"css", http.MethodGet, "/v1/stream/tasks?snapshot=true&entityVersion=1", "", 400},
	{"css", http.MethodGet, "/v1/stream/tasks?type=ADDED&group=a,,b", "", 400},
	{"css", http.MethodGet, "/v1/tasks?wait=1h&entityVersion=1", "", 400},
	{"css", http.MethodGet, "/v1/instances?maxStaleness=-1", "", 400},
	{"css", http.MethodDelete, "/v1/tasks", "", 405},
	{"ds", http.MethodPost, "/v1/environments", "", 400},
	{"ds", http.MethodPost, "/v1/environments", `{"name":"%s"`, 400},
	{"ds", http.MethodPost, "/v1/environments",
		`{"name":"a b","instanceGroup":{"cluster":"default"},"taskDefinition":"linearizable"}`, 400},
	{"ds", http.MethodPost, "/v1/environments",
		`{"name":"bad","instanceGroup":{"cluster":"default"},"taskDefinition":7}`, 400},
	{"ds", http.MethodPatch, "/v1/environments/%s?deploymentToken=%t", `{"colour":"red"}`, 400},
	{"ds", http.MethodPatch, "/v1/environments/%s?deploymentToken=%t",
		`{"deploymentConfiguration":{"minimumHealthyPercent":900}}`, 400},
	{"ds", http.MethodPatch, "/v1/environments/%s?deploymentToken=%t",
		`{"taskSettings":{"tags":[{"key":"aws:x","value":"bad"}]}}`, 400},
	{"ds", http.MethodPatch, "/v1/environments/%s", `{"taskSettings":{"tags":[{"key":"written","value":"bad"}]}}`, 400},
	{"ds", http.MethodPost, "/v1/environments/%s/deployments?deploymentToken=x", "", 400},
	{"ds", http.MethodDelete, "/v1/environments/%s?stopTasks=perhaps", "", 400},
	{"ds", http.MethodGet, "/v1/environments?colour=red", "", 400},
}

// sendInvalid sends invalid requests until ctx ends. That they change nothing follows from environmentModel.
func (b *badClients) sendInvalid(ctx context.Context, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 400))
	for backoff.Sleep(ctx, between(random, 20*time.Millisecond, 200*time.Millisecond)) {
		invalid := invalidRequests[random.IntN(len(invalidRequests))]
		slot := b.environments.randomSlot(random)
		if slot.token == "" {
			continue
		}
		addresses := b.css
		if invalid.service == "ds" {
			addresses = b.ds
		}
		path, body := slot.fill(invalid.path), slot.fill(invalid.body)
		r, err := b.request(ctx, invalid.method, addresses[random.IntN(len(addresses))], path, body)
		// The environment may not exist at present, or may be in deletion.
		missing := path != invalid.path && (r.status == http.StatusNotFound || r.status == http.StatusConflict)
		switch {
		case err != nil || r.status == http.StatusServiceUnavailable:
		case r.status == invalid.status || missing:
			b.history.count("invalid requests rejected", 1)
		default:
			b.history.violation("invalid requests return a 4xx with the reason", "%s %s %s: %d: %s",
				invalid.method, path, body, r.status, r.body)
		}
	}
}

// fill replaces %s by the environment's name and %t by its token.
func (s environmentSlot) fill(text string) string {
	return strings.NewReplacer("%s", s.name, "%t", s.token).Replace(text)
}

// neverRead sends requests and reads no response, until ctx ends. It uses no proxy, because a proxy would read.
func (b *badClients) neverRead(ctx context.Context, service string, number int) {
	for ctx.Err() == nil {
		b.neverReadOnce(ctx, b.addresses[service], number)
		backoff.Sleep(ctx, 500*time.Millisecond)
	}
}

// neverReadOnce returns when the service has closed the connection.
func (b *badClients) neverReadOnce(ctx context.Context, address string, number int) {
	c, err := (&net.Dialer{Timeout: requestTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_ = c.(*net.TCPConn).SetReadBuffer(badReadBytes)
	paths := []string{"/v1/stream/tasks", "/v1/stream/tasks?deleted=true&heartbeat=1", "/v1/tasks", "/v1/stream/instances",
		"/v1/stream/tasks?snapshot=true&type=true"}
	request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", paths[number%len(paths)], address)
	write := func(text string) error {
		_ = c.SetWriteDeadline(time.Now().Add(requestTimeout))
		_, err := io.WriteString(c, text)
		return err
	}
	for range badRequests { // the responses, or the requests themselves, fill the kernel's buffers
		if write(request) != nil {
			break
		}
	}
	b.history.count("clients that do not read", 1)
	for backoff.Sleep(ctx, 500*time.Millisecond) {
		if write("\r\n") != nil {
			return
		}
	}
}
