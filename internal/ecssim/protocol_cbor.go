package ecssim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/aws/smithy-go/encoding/cbor"
)

// cborProtocol is Smithy RPC v2 CBOR. The action is in the path.
type cborProtocol struct{}

// epochTime is CBOR's tag of a time in seconds since 1970.
const epochTime = 1

func (cborProtocol) decode(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, nil
	}
	value, err := cbor.Decode(body)
	if err != nil {
		return nil, errNotCBOR
	}
	return json.Marshal(fromCBOR(value))
}

var errNotCBOR = &apiError{code: "SerializationException", message: "The body is not CBOR."}

func (cborProtocol) encode(asJSON []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	return cbor.Encode(toCBOR("", value))
}

func (cborProtocol) encodeError(e *apiError, status int, header http.Header) []byte {
	e.setQueryError(status, header)
	return cbor.Encode(cbor.Map{"__type": cbor.String(e.code), "message": cbor.String(e.message)})
}

func (cborProtocol) setContentType(header http.Header) {
	header.Set("Content-Type", "application/cbor")
	header.Set("Smithy-Protocol", "rpc-v2-cbor")
}

// fromCBOR returns what encoding/json encodes as the value.
func fromCBOR(value cbor.Value) any {
	switch v := value.(type) {
	case cbor.String:
		return string(v)
	case cbor.Uint:
		return uint64(v)
	case cbor.NegInt:
		return -int64(v)
	case cbor.Float32:
		return float32(v)
	case cbor.Float64:
		return float64(v)
	case cbor.Bool:
		return bool(v)
	case *cbor.Tag:
		return fromCBOR(v.Value)
	case cbor.List:
		list := make([]any, len(v))
		for i := range v {
			list[i] = fromCBOR(v[i])
		}
		return list
	case cbor.Map:
		object := make(map[string]any, len(v))
		for name := range v {
			object[name] = fromCBOR(v[name])
		}
		return object
	}
	return nil
}

// toCBOR returns a decoded value of JSON, which is in a field of that name. Numbers in fields named …Timestamp are
// times.
func toCBOR(field string, value any) cbor.Value {
	switch v := value.(type) {
	case string:
		return cbor.String(v)
	case bool:
		return cbor.Bool(v)
	case json.Number:
		seconds, err := v.Float64()
		if err == nil && strings.HasSuffix(field, "Timestamp") {
			return &cbor.Tag{ID: epochTime, Value: cbor.Float64(seconds)}
		}
		if n, err := v.Int64(); err == nil && n >= 0 {
			return cbor.Uint(uint64(n))
		}
		return cbor.Float64(seconds)
	case []any:
		list := make(cbor.List, len(v))
		for i := range v {
			list[i] = toCBOR(field, v[i])
		}
		return list
	case map[string]any:
		object := make(cbor.Map, len(v))
		for name := range v {
			object[name] = toCBOR(name, v[name])
		}
		return object
	}
	return &cbor.Nil{}
}
