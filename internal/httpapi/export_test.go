package httpapi

// FeedMessage is what the document says of a feed's messages.
type FeedMessage = feedMessage
