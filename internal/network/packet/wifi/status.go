package wifi

// Status is what became of a frame.
type Status uint8

// The outcomes. Those from BadFCS on are malformed.
const (
	Management  Status = iota // a management frame
	Control                   // a control frame
	Data                      // a data frame without content, or encrypted
	Content                   // a data frame whose content is in the clear
	Extension                 // of the extension type: DMG beacons (others are only counted)
	NoFrame                   // the radio's note of a transmission without a frame
	BadFCS                    // the check sequence does not fit, or the receiver says so
	BadRadio                  // the capture's header is not whole or not valid
	ShortHeader               // the frame ends inside its MAC header
	BadVersion                // a protocol version other than 0
	OtherLink                 // not a link type of 802.11
	StatusCount               // how many there are
)

var statusNames = [StatusCount]string{
	"management", "control", "data", "content", "extension", "no_frame",
	"bad_fcs", "bad_radio", "short_header", "bad_version", "other_link",
}

// String returns the name of the status as it stands in metric labels.
func (s Status) String() string {
	if s < StatusCount {
		return statusNames[s]
	}
	return "unknown"
}

// Malformed reports whether the ledger counts the frame as malformed.
func (s Status) Malformed() bool { return s >= BadFCS }
