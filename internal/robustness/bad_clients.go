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
)

// nuisances are clients that send what is wrong, and clients that do not read what they have asked for. Nobody else is to notice.
type nuisances struct {
	*world
	registers *registers
}

// badCall is a request that has to be refused, with the status that tells why.
type badCall struct {
	service, method, path, body string
	status                      int
}

// badCalls name an environment where they have %s; a good token is where they have %t.
var badCalls = []badCall{
	{"css", http.MethodGet, "/v1/tasks?colour=red", "", 400},
	{"css", http.MethodGet, "/v1/tasks?status=running&status=stopped", "", 400},
	{"css", http.MethodGet, "/v1/instances?status=sleepy", "", 400},
	{"css", http.MethodGet, "/v1/instances?cluster=a%20b", "", 400},
	{"css", http.MethodGet, "/v1/tasks?limit=0", "", 400},
	{"css", http.MethodGet, "/v1/tasks?nextToken=x&limit=5", "", 400},
	{"css", http.MethodGet, "/v1/tasks/default/nothing", "", 404},
	{"css", http.MethodGet, "/v1/stream/tasks?entityVersion=-1", "", 400},
	{"css", http.MethodGet, "/v1/stream/instances?entityVersion=1&heartbeat=0", "", 400},
	{"css", http.MethodDelete, "/v1/tasks", "", 405},
	{"ds", http.MethodPost, "/v1/environments", "", 400},
	{"ds", http.MethodPost, "/v1/environments", `{"name":"%s"`, 400},
	{"ds", http.MethodPost, "/v1/environments", `{"name":"a b","instanceGroup":{"cluster":"default"},"taskDefinition":"register"}`, 400},
	{"ds", http.MethodPost, "/v1/environments", `{"name":"bad","instanceGroup":{"cluster":"default"},"taskDefinition":7}`, 400},
	{"ds", http.MethodPatch, "/v1/environments/%s?deploymentToken=%t", `{"colour":"red"}`, 400},
	{"ds", http.MethodPatch, "/v1/environments/%s?deploymentToken=%t", `{"deploymentConfiguration":{"minimumHealthyPercent":900}}`, 400},
	{"ds", http.MethodPatch, "/v1/environments/%s?deploymentToken=%t", `{"taskSettings":{"tags":[{"key":"aws:x","value":"bad"}]}}`, 400},
	{"ds", http.MethodPatch, "/v1/environments/%s", `{"taskSettings":{"tags":[{"key":"written","value":"bad"}]}}`, 400},
	{"ds", http.MethodPost, "/v1/environments/%s/deployments?deploymentToken=x", "", 400},
	{"ds", http.MethodDelete, "/v1/environments/%s?stopTasks=perhaps", "", 400},
	{"ds", http.MethodGet, "/v1/environments?colour=red", "", 400},
}

// sender sends what is wrong until ctx ends. That it changes nothing shows in the histories of the registers.
func (n *nuisances) sender(ctx context.Context, seed uint64) {
	chance := rand.New(rand.NewPCG(seed, 400))
	for sleep(ctx, between(chance, 20e6, 200e6)) {
		c := badCalls[chance.IntN(len(badCalls))]
		n.registers.mu.Lock()
		at := n.registers.slots[chance.IntN(len(n.registers.slots))]
		n.registers.mu.Unlock()
		if at.token == "" {
			continue
		}
		addresses := n.css
		if c.service == "ds" {
			addresses = n.ds
		}
		path, body := at.fill(c.path), at.fill(c.body)
		status, _, text, err := n.call(ctx, c.method, addresses[chance.IntN(len(addresses))], path, body)
		gone := status == http.StatusNotFound || status == http.StatusConflict // of an environment that is not there at present
		switch {
		case err != nil || status == http.StatusServiceUnavailable:
		case status == c.status || gone && c.path != at.fill(c.path):
			n.report.count("bad requests that were refused", 1)
		default:
			n.report.violated("bad input gets a clear 4xx", "%s %s %s: %d: %s", c.method, path, body, status, text)
		}
	}
}

// fill names the register where the text has %s, and its token where it has %t.
func (r register) fill(text string) string {
	return strings.NewReplacer("%s", r.name, "%t", r.token).Replace(text)
}

// stalled asks for everything again and again, as long as it gets anywhere, and reads nothing of it. It goes past the links, which would read.
func (n *nuisances) stalled(ctx context.Context, service string, number int) {
	for ctx.Err() == nil {
		n.stall(ctx, n.direct[service], number)
		sleep(ctx, 500*time.Millisecond)
	}
}

func (n *nuisances) stall(ctx context.Context, address string, number int) {
	c, err := (&net.Dialer{Timeout: callTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	_ = c.(*net.TCPConn).SetReadBuffer(1024)
	path := []string{"/v1/stream/tasks", "/v1/stream/tasks?deleted=true&heartbeat=1", "/v1/tasks", "/v1/stream/instances"}[number%4]
	for range 200 { // the answers to some, and the requests of the others, fill what the kernel holds
		_ = c.SetWriteDeadline(time.Now().Add(callTimeout))
		if _, err := io.WriteString(c, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address)); err != nil {
			break
		}
	}
	n.report.count("clients that do not read", 1)
	for sleep(ctx, 500*time.Millisecond) { // until the service has cut it
		_ = c.SetWriteDeadline(time.Now().Add(callTimeout))
		if _, err := io.WriteString(c, "\r\n"); err != nil {
			return
		}
	}
}
