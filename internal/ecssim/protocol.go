package ecssim

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

const (
	ecsTarget      = "AmazonEC2ContainerServiceV20141113."
	sqsTarget      = "AmazonSQS."
	kinesisTarget  = "Kinesis_20131202."
	eventsTarget   = "AWSEvents."
	cloudWatchPath = "/service/GraniteServiceVersion20100801/operation/"
)

// call is an AWS call as its request names it.
type call struct {
	service, action string
	target          string        // as the request has it
	handler         actionHandler // nil if the simulator has no such action
	protocol        protocol
}

// route returns the call that a request with that body makes.
func route(r *http.Request, body []byte) call {
	target := r.Header.Get("X-Amz-Target")
	if target == "" && r.Header.Get("Content-Type") == formContentType { // curl -d sends JSON as a form
		return routeSTS(body)
	}
	c := call{service: serviceECS, target: target, protocol: jsonProtocol{version: "1.1"}}
	if action, ok := strings.CutPrefix(r.URL.Path, cloudWatchPath); ok {
		return call{serviceCloudWatch, action, r.URL.Path, cloudWatchActions[action], cborProtocol{}}
	}
	if action, ok := strings.CutPrefix(target, ecsTarget); ok {
		c.action, c.handler = action, ecsActions[action]
	}
	if action, ok := strings.CutPrefix(target, sqsTarget); ok {
		c = call{serviceSQS, action, target, sqsActions[action], jsonProtocol{"1.0", "com.amazonaws.sqs#"}}
	}
	if action, ok := strings.CutPrefix(target, kinesisTarget); ok {
		c = call{serviceKinesis, action, target, kinesisActions[action], jsonProtocol{version: "1.1"}}
	}
	if action, ok := strings.CutPrefix(target, eventsTarget); ok {
		c = call{serviceEventBridge, action, target, eventBridgeActions[action], jsonProtocol{version: "1.1"}}
	}
	return c
}

// protocol is the encoding of a service's calls. Handlers read and write JSON.
type protocol interface {
	decode(body []byte) (asJSON []byte, err error)
	encode(asJSON []byte) []byte
	// encodeError returns the body of an error. It may set headers.
	encodeError(e *apiError, status int, header http.Header) []byte
	setContentType(header http.Header)
}

// jsonProtocol is AWS JSON.
type jsonProtocol struct {
	version string
	// namespace begins the names of error shapes. Errors of a service with one also have the code of its older query
	// protocol, in a header.
	namespace string
}

func (jsonProtocol) decode(body []byte) ([]byte, error) { return body, nil }

func (jsonProtocol) encode(asJSON []byte) []byte { return asJSON }

func (p jsonProtocol) encodeError(e *apiError, status int, header http.Header) []byte {
	if p.namespace != "" {
		e.setQueryError(status, header)
	}
	members := map[string]any{"__type": p.namespace + e.code, "message": e.message}
	if len(e.resourceIDs) > 0 {
		members["resourceIds"] = e.resourceIDs
	}
	body, _ := json.Marshal(members)
	return body
}

// setQueryError sets the header by which services that once had the query protocol give the error code of that.
func (e *apiError) setQueryError(status int, header http.Header) {
	fault := "Sender"
	if status >= http.StatusInternalServerError {
		fault = "Receiver"
	}
	header.Set("x-amzn-query-error", cmp.Or(e.query, e.code)+";"+fault)
}

func (p jsonProtocol) setContentType(header http.Header) {
	header.Set("Content-Type", "application/x-amz-json-"+p.version)
}

// A large response that AWS could never send so fast can arrive before the client finishes sending. aws-sdk-go-v2 then
// closes the request body under net/http, which drops the connection and the unread rest of the response. So responses
// longer than one read are delayed by responseDelay.
const (
	responseDelay  = 100 * time.Microsecond
	singleReadSize = 2048 // bytes
)

// writeResponse writes a success or an error in the service's protocol.
func writeResponse(w http.ResponseWriter, p protocol, body []byte, err error) {
	status := http.StatusOK
	if err != nil {
		e := errServer
		errors.As(err, &e)
		if status = e.status; status == 0 {
			status = http.StatusBadRequest
		}
		body = p.encodeError(e, status, w.Header())
	} else {
		body = p.encode(body)
	}
	if len(body) > singleReadSize {
		time.Sleep(responseDelay)
	}
	p.setContentType(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("x-amzn-RequestId", uuid.NewString())
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
