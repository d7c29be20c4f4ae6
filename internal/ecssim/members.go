package ecssim

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// Each member of a request is a field of its input type, which says what becomes of it: it has its effect in the
// simulator, or is kept and shown, or has the type ignored and says why. Calls with other members fail: a test must not
// take a member that the simulator drops for one that works.

// ignored is a member without an effect in the simulator. The tag why says why that is right.
type ignored struct{}

// UnmarshalJSON accepts every value.
func (*ignored) UnmarshalJSON([]byte) error { return nil }

// decode parses the input of a call. SDKs send an empty body without parameters.
func decode[In any](r request) (in In, err error) {
	if len(r.body) == 0 {
		return in, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		if member, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return in, errUnsupported(r.service, member)
		}
		return in, errSerialization
	}
	if _, err := decoder.Token(); err != io.EOF {
		return in, errSerialization
	}
	return in, nil
}

// unsupported begins the messages of errUnsupported.
const unsupported = "The simulator does not support the member "

// errUnsupported refuses a call with a member that the input type does not have, with the error for an invalid request.
func errUnsupported(service, member string) error {
	code := map[string]string{
		serviceECS: "InvalidParameterException", serviceSQS: "UnsupportedOperation",
		serviceKinesis: "InvalidArgumentException", serviceCloudWatch: "ValidationError", serviceSTS: "ValidationError",
		serviceEventBridge: "ValidationException",
	}[service]
	query := code
	if service == serviceSQS {
		query = "AWS.SimpleQueueService.UnsupportedOperation"
	}
	return &apiError{code: code, query: query, message: unsupported + member + "."}
}
