"""What people reach for when a client misbehaves: a recorded conversation in, every request and its reply explained.

    hexdump, source     text or a stream -> bytes
    pcap -> packets     a capture file -> packets -> TCP segments
    tcp -> capture      segments -> the byte streams of each connection
    exchange            a frame -> a message
    conversation        byte streams -> frames -> requests with their replies
    frames              the same for a file that holds nothing but frames
    rendering           a message -> what JSON can say

Nothing here opens a file or prints. What is read may be anything: it is checked, and everything kept has a limit.
"""
